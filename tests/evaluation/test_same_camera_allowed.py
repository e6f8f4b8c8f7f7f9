"""``evaluation.protocol=same_camera_allowed`` against a slow twin, with queries that are searched, and sequences."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_reid.data.places import OWN_PLACE, under_protocol, with_lists
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.trial import Trial
from nas_reid.errors import ConfigError
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.retrieval import compare, compare_trials
from tests.oracles.any_other_image import any_other_image


def data(query: list[Sample], gallery: list[Sample]) -> Dataset:
    lists = (tuple(sorted(part)) for part in (query, gallery))
    return with_lists(Dataset("mine", Path("mine"), (Sample("t.jpg", 9, 0),), (), ()), *lists)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sequenced", [False, True])
def test_against_the_twin(seed: int, sequenced: bool) -> None:
    rng = np.random.default_rng(seed)
    labels, count = rng.integers(1, 9, size=60).tolist(), 60
    sequences = rng.integers(-1, 12, size=count).tolist() if sequenced else [-1] * count
    samples = [Sample(f"{row:02d}.jpg", labels[row], int(rng.integers(3)), sequence=sequences[row])
               for row in range(count)]
    queries, gallery = (sorted(rng.permutation(count)[:size].tolist()) for size in (30, 50))
    dataset = under_protocol(data([samples[i] for i in queries], [samples[i] for i in gallery]), "same_camera_allowed")
    [trial] = dataset.trials
    assert dataset.query == dataset.gallery and trial.junk == "same_camera_allowed"
    features = rng.integers(-50, 50, size=(count, 6)).astype(np.float32)  # exact in every order of summation
    rows = [int(sample.path[:2]) for sample in dataset.query]
    embedded = Embedded(torch.from_numpy(features[rows]), torch.tensor([s.pid for s in dataset.query]),
                        torch.tensor([s.camid for s in dataset.query]))
    ranking = compare_trials(embedded, embedded, dataset.trials, distance="euclidean").ranking
    expected = any_other_image(features.tolist(), labels, sequences, queries, gallery)
    valid = [one for one in expected if one]
    assert ranking.valid.tolist() == [one is not None for one in expected]
    assert ranking.mAP == pytest.approx(sum(one["ap"] for one in valid) / len(valid), abs=1e-12)
    assert ranking.mINP == pytest.approx(sum(one["matches"] / one["last"] for one in valid) / len(valid), abs=1e-12)
    assert [first for first in ranking.first_hit.tolist() if first] == [one["first"] for one in valid]
    if not sequenced:  # the usual rule gives the same, as every image is a camera of its own
        usual = compare(embedded[torch.tensor(trial.query)], embedded[torch.tensor(trial.gallery)],
                        distance="euclidean").ranking
        assert torch.equal(usual.ap.nan_to_num(-1), ranking.ap.nan_to_num(-1))


def test_by_hand() -> None:
    """Distances from 0 on a line: a at 0 and 3, b at 1, a's third image at 4 from the query's own camera."""
    samples = [Sample("0.jpg", 1, 0), Sample("1.jpg", 2, 0), Sample("2.jpg", 1, 1), Sample("3.jpg", 1, 0)]
    lists = data(samples[:1], samples[1:])
    features = torch.tensor([[0.0], [1.0], [3.0], [4.0]])

    def ranked(dataset: Dataset) -> float:
        sides = [Embedded(features[rows], torch.tensor([s.pid for s in part]), torch.tensor([s.camid for s in part]))
                 for rows, part in (([0], dataset.query), ([1, 2, 3], dataset.gallery))]
        if dataset.trials:
            return compare_trials(*sides, dataset.trials, distance="euclidean").ranking.mAP
        return compare(*sides, distance="euclidean").ranking.mAP

    assert ranked(lists) == 1 / 2
    assert ranked(under_protocol(lists, "same_camera_removed")) == 1 / 2
    assert ranked(under_protocol(lists, "same_camera_allowed")) == (1 / 2 + 2 / 3) / 2


def test_what_does_not_go_together() -> None:
    dataset = data([Sample("0.jpg", 1, 0)], [Sample("1.jpg", 1, 1)])
    with pytest.raises(ConfigError, match=r"evaluation\.protocol=any is unknown; choose one of same_camera_removed"):
        under_protocol(dataset, "any")
    with pytest.raises(ConfigError, match="names no cameras; leave it null"):
        under_protocol(replace(dataset, query=(Sample("0.jpg", 1, OWN_PLACE),)), "same_camera_removed")
    rooms = replace(dataset, trials=(Trial("all", (0,), (0,), junk="same_room"),))
    with pytest.raises(ConfigError, match="has the rule same_room; leave it null"):
        under_protocol(rooms, "same_camera_allowed")
    assert under_protocol(dataset, None) is dataset
