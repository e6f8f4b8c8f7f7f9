"""Thresholds for a false-positive rate: counted by hand, resampled by an oracle, and covering what they promise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import beta

from nas_reid.errors import CheckpointError, DataError
from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.pair_distances import collect_pairs, fit_threshold, pair_histogram
from nas_reid.evaluation.threshold import Pairs, Threshold, choose, fit, read_thresholds, require_pairs
from nas_reid.network.checkpoint import save_checkpoint
from tests.oracles import threshold as oracle

QUICK = Bootstrap(samples=100, seed=5)


def drawn_pairs(seed: int, *, people: int = 6, images: int = 2, levels: int | None = None) -> Pairs:
    """Impostor pairs of people who are like or unlike others; with ``levels``, many ties."""
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=people)
    of = np.array([(a, b) for a in range(people) for b in range(people) if a != b for _ in range(images)])
    distances = np.abs(looks[of[:, 0]] - looks[of[:, 1]]) + rng.exponential(0.3, len(of))
    if levels:
        distances = np.round(distances * levels)
    return Pairs(rng.exponential(0.2, 20), rng.integers(people, size=20), distances, of, people)


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_equals_counting_and_resampling_by_hand(rate: float, levels: int | None) -> None:
    pairs = drawn_pairs(1, levels=levels)
    found = fit(pairs, rate=rate, bootstrap=QUICK)
    listed = [(float(d), int(a), int(b)) for d, (a, b) in zip(pairs.impostor, pairs.impostor_of, strict=True)]
    assert found.value == oracle.threshold(listed, rate)
    assert found.expected == sum(d <= found.value for d, _, _ in listed) / len(listed) <= rate
    values, rates = oracle.intervals(listed, rate, people=pairs.people, samples=100, seed=5, level=0.95)
    assert found.interval == pytest.approx(values, abs=1e-12)
    assert found.expected_interval == pytest.approx(rates, abs=1e-12)
    assert found.true_accepts == sum(d <= found.value for d in pairs.genuine) / 20


def test_by_hand() -> None:
    """Of ten impostor pairs three may be accepted; where the third and the fourth are alike, only two."""
    of = np.array([(a, b) for a in range(5) for b in range(5) if a < b])
    pairs = Pairs(np.array([0.5, 1.5, 2.5, 9.0]), np.zeros(4, int), np.arange(1.0, 11.0), of, 5)
    found = fit(pairs, rate=0.3, bootstrap=QUICK)
    assert (found.value, found.expected, found.true_accepts) == (3.0, 0.3, 0.75)
    tied = pairs._replace(impostor=np.array([1.0, 2, 3, 3, 5, 6, 7, 8, 9, 10]))
    assert fit(tied, rate=0.3, bootstrap=QUICK)[:1] == (2.0,)
    alike = fit(pairs._replace(impostor=np.full(10, 4.0)), rate=0.3, bootstrap=QUICK)
    assert alike.expected == 0 and 3.99 < alike.value < 4 and alike.expected_interval == (0, 0)


def test_the_interval_of_the_rate_covers_other_people_where_that_of_independent_pairs_does_not() -> None:
    """People differ in how many others they resemble, each in four images: groups of 15, and very many other people."""
    def distances(rng: np.random.Generator, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.abs(first - second) + rng.exponential(0.3, len(first))

    rng = np.random.default_rng(99)
    others = np.sort(distances(rng, rng.normal(size=50_000), rng.normal(size=50_000)))
    of = np.array([(a, b) for a in range(15) for b in range(15) if a < b for _ in range(16)])
    covered = {"people": 0, "pairs": 0}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        looks = rng.normal(size=15)
        found = fit(Pairs(np.zeros(1), np.zeros(1, int), distances(rng, *looks[of.T]), of, 15), rate=0.05,
                    bootstrap=QUICK)
        truth, accepted = np.searchsorted(others, found.value) / len(others), round(found.expected * len(of))
        covered["people"] += found.expected_interval[0] <= truth <= found.expected_interval[1]
        covered["pairs"] += (beta.ppf(0.025, accepted, len(of) - accepted + 1) <= truth
                             <= beta.ppf(0.975, accepted + 1, len(of) - accepted))  # Clopper and Pearson
    assert covered["people"] >= 27 and covered["pairs"] <= 20, covered


@pytest.mark.parametrize(("people", "impostors", "rate", "message"), [
    (4, 10_000, 0.01, r"false_positive_rate=0\.01 needs at least 5 held-out people, and there are 4"),
    (9, 299, 0.01, r"at least 3 / 0\.01 = 300 pairs of different held-out people, and there are 299.*ask for 0\.01 or"),
    (9, 30, 0.001, r"3 / 0\.001 = 3,000 pairs .* 30: .* ask for 0\.1 or more")])
def test_too_few_pairs_are_refused(people: int, impostors: int, rate: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        require_pairs(rate, people=people, impostors=impostors)
    require_pairs(0.01, people=5, impostors=300)


def people(seed: int, count: int, *, distractors: int = 0) -> Embedded:
    rng = np.random.default_rng(seed)
    pids = torch.tensor([*(1 + rng.integers(8, size=count)), *[0] * distractors])
    return Embedded(torch.tensor(rng.normal(size=(len(pids), 3)), dtype=torch.float32), pids,
                    torch.tensor(rng.integers(3, size=len(pids))))


def counted(query: Embedded, gallery: Embedded) -> tuple[list[float], list[tuple[float, int, int]]]:
    """Euclidean distances of genuine and impostor pairs, one by one."""
    genuine, impostor = [], []
    for x, a, camera in zip(query.features.double(), query.pids.tolist(), query.camids.tolist(), strict=True):
        for y, b, other in zip(gallery.features.double(), gallery.pids.tolist(), gallery.camids.tolist(), strict=True):
            if a > 0 and b > 0 and a != b:
                impostor.append((float((x - y).norm()), a, b))
            elif a > 0 and a == b and camera != other:
                genuine.append(float((x - y).norm()))
    return genuine, impostor


def test_pairs_are_those_of_known_people_in_different_cameras() -> None:
    query, gallery = people(0, 12), people(1, 30, distractors=5)
    genuine, impostor = counted(query, gallery)
    pairs = collect_pairs(query, gallery, distance="euclidean")
    np.testing.assert_allclose(np.sort(pairs.genuine), sorted(genuine), atol=1e-5)
    np.testing.assert_allclose(np.sort(pairs.impostor), sorted(distance for distance, _, _ in impostor), atol=1e-5)
    names = torch.cat([query.pids, gallery.pids]).unique()
    names = names[names > 0]
    found = sorted((a, b) for a, b in names[torch.from_numpy(pairs.impostor_of)].tolist())
    assert found == sorted((a, b) for _, a, b in impostor) and pairs.people == len(names)
    thinned = collect_pairs(query, gallery, distance="euclidean", most=4 * 30)
    assert len(thinned.impostor) < len(impostor) and set(thinned.impostor) <= set(pairs.impostor)


def test_a_histogram_counts_each_pair_once(monkeypatch: pytest.MonkeyPatch) -> None:
    query, gallery = people(0, 12), people(1, 30, distractors=5)
    genuine, impostor = counted(query, gallery)
    for memory in (2**28, 3 * 30 * 40):
        monkeypatch.setattr("nas_reid.evaluation.distance.BLOCK_MEMORY", memory)
        found = pair_histogram(query, gallery, distance="euclidean", threshold=1.5, bins=16)
        edges = found.edges.numpy()
        assert found.genuine.tolist() == np.histogram(genuine, edges)[0].tolist()
        assert found.impostor.tolist() == np.histogram([d for d, _, _ in impostor], edges)[0].tolist()
        near = sum(d <= 1.5 for d, _, _ in impostor)
        assert found.accepted_impostor == near and found.accepted_genuine == sum(d <= 1.5 for d in genuine)
        assert found.observed["false_positive_rate"] == near / len(impostor)
    nobody = pair_histogram(query[query.pids < 0], gallery, distance="cosine", threshold=1.0)
    assert nobody.observed["impostor_pairs"] == 0 and np.isnan(nobody.observed["true_accepts"])


def test_a_threshold_is_kept_and_read_back(tmp_path: Path) -> None:
    kept = fit_threshold(people(0, 12), people(1, 30), rate=0.1, distance="cosine", flip=True, across=False,
                         bootstrap=QUICK)
    assert kept.distance == "cosine" and kept.flip and kept.rate == 0.1 and kept.accepts(kept.value)
    assert not kept.accepts(kept.value * 1.0001) and kept.interval[0] <= kept.value <= kept.interval[1]
    save_checkpoint(tmp_path / "best.pt", {"thresholds": [kept.to_plain()]}, config={})
    assert read_thresholds(tmp_path / "best.pt") == [kept]
    assert choose([replace(kept, flip=False), kept], distance="cosine", flip=True) == kept
    assert choose([kept], distance="euclidean", flip=True) is None
    save_checkpoint(tmp_path / "old.pt", {}, config={})
    assert read_thresholds(tmp_path / "old.pt") == []


@pytest.mark.parametrize("change", [{"value": "0.5"}, {"interval": [0.1]}, {"interval": 0.3}, {"flip": 1},
                                    {"people": 5.0}, {"expected_interval": [1, 2]}, {"more": 1}])
def test_what_is_no_threshold_is_refused(change: dict) -> None:
    plain = {"value": 0.5, "interval": [0.4, 0.6], "rate": 0.1, "expected": 0.1, "expected_interval": [0.0, 0.2],
             "true_accepts": 0.9, "distance": "cosine", "flip": True, "people": 9, "genuine_pairs": 4,
             "impostor_pairs": 400, "level": 0.95, "across": False}
    assert Threshold.from_plain(plain, origin="x").interval == (0.4, 0.6)
    with pytest.raises(CheckpointError, match=r"model\.json: a threshold (is|has)"):
        Threshold.from_plain(plain | change, origin="model.json")
