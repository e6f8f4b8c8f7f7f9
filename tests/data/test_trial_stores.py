"""From the trials of a data set to those over the decoded images."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.source import DataSource, retrieval_lists
from nas_reid.data.trial import Trial
from nas_reid.errors import DataError

SAMPLES = tuple(Sample(f"{i}.png", 1 + i // 2, i % 2, i % 2) for i in range(8))
FORTH, BACK = Trial("forth", (0, 2, 4, 6), (1, 3, 5, 7)), Trial("back", (1, 3), (2, 4, 6), junk="same_room")


@pytest.fixture
def source(tmp_path: Path) -> DataSource:
    for sample in SAMPLES:
        Image.new("RGB", (5, 9), (30 * int(sample.path[0]), 0, 0)).save(tmp_path / sample.path)
    dataset = Dataset("pairs", tmp_path, (), SAMPLES, SAMPLES, trials=(FORTH, BACK))
    return DataSource(dataset, (8, 4), tmp_path / "cache", 1, "skip")


def test_a_list_that_is_both_is_decoded_and_loaded_once(source: DataSource) -> None:
    stores = source.test_stores()
    assert stores.query is stores.gallery and stores.trials == (FORTH, BACK)
    lists = retrieval_lists(stores, batch_size=3, device=torch.device("cpu"))
    assert lists.query is lists.gallery and lists.trials == stores.trials and len(lists.query.pids) == 8


def test_two_lists_stay_two(source: DataSource) -> None:
    apart = replace(source, dataset=replace(source.dataset, query=SAMPLES[::2], gallery=SAMPLES[1::2],
                                            trials=(Trial("all", range(4), range(4)),)))
    stores = apart.test_stores()
    assert stores.query.samples == SAMPLES[::2] and stores.gallery.samples == SAMPLES[1::2]
    lists = retrieval_lists(stores, batch_size=3, device=torch.device("cpu"))
    assert lists.gallery.modalities.tolist() == [1] * 4 and lists.trials[0].gallery == (0, 1, 2, 3)


def test_trials_do_without_unreadable_images(source: DataSource, tmp_path: Path) -> None:
    (tmp_path / "2.png").write_bytes(b"broken")
    stores = source.test_stores()
    assert len(stores.query.samples) == 7
    for trial, kept in zip(stores.trials, ((("0", "4", "6"), ("1", "3", "5", "7")), (("1", "3"), ("4", "6"))),
                           strict=True):
        named = tuple(tuple(stores.query.samples[row].path[0] for row in side) for side in (trial.query, trial.gallery))
        assert named == kept
    assert stores.trials[1].junk == "same_room" and stores.trials[1].name == "back"


def test_a_trial_without_images_is_said(source: DataSource) -> None:
    empty = replace(source, dataset=replace(source.dataset, trials=(FORTH, Trial("indoor", (0,), ()))))
    with pytest.raises(DataError, match=r"pairs in .*: indoor has 1 queries and 0 gallery images; each needs at least"):
        empty.test_stores()
