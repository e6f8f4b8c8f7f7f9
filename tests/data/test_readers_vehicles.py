"""VeRi, VehicleID and VERI-Wild: layouts, trials, official numbers, and what goes wrong."""

import random
from pathlib import Path

import pytest
import torch

from nas_reid.data.readers import read_dataset
from nas_reid.data.readers.vehicleid import SIZES
from nas_reid.data.sample import Sample
from nas_reid.errors import ConfigError, DataError
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.retrieval import compare_trials
from tests.data.vehicle_miniatures import write_vehicleid, write_veri, write_veri_wild


def append(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line)


def swap(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def pids(samples) -> set[int]:
    return {sample.pid for sample in samples}


def test_veri(tmp_path):
    dataset = read_dataset("veri", write_veri(tmp_path))
    assert dataset.train[1] == Sample("image_train/0001_c020_00001_0.jpg", 1, 19)
    assert pids(dataset.train) == {1, 3} and pids(dataset.query) == pids(dataset.gallery) == {2, 5}
    assert (len(dataset.query), len(dataset.gallery), dataset.trials) == (2, 6, ())
    assert "train has 4 images of 2 identities; official VeRi-776 has 37,778, so" in dataset.warnings[0]
    with pytest.raises(DataError, match="layout of reader 'veri': set data=veri"):
        read_dataset("folder", tmp_path)


def test_vehicleid_draws_ten_galleries_of_every_size(tmp_path):
    dataset = read_dataset("vehicleid", write_vehicleid(tmp_path))
    assert pids(dataset.train) == {1, 2} and dataset.query == dataset.gallery and len(dataset.query) == 5 * 4
    assert [trial.name for trial in dataset.trials] == ["small"] * 10 + ["medium"] * 10 + ["large"] * 10
    for trial in dataset.trials:
        people = {"small": 3, "medium": 4, "large": 5}[trial.name]
        gallery = [dataset.gallery[i] for i in trial.gallery]
        assert pids(gallery) == set(range(101, 101 + people)) and len(gallery) == people
        assert not set(trial.query) & set(trial.gallery) and len(trial.query) == 3 * people
    assert len({trial.gallery for trial in dataset.trials[:10]}) > 5
    assert dataset.query[0] == Sample("image/0010100.jpg", 101, 10100)
    assert len(dataset.warnings) == 3 and "small has 12 images of 3 vehicles" in dataset.warnings[0]
    small = read_dataset("vehicleid", tmp_path, size="small")
    assert len(small.trials) == 10 and len(small.query) == 12
    assert small.trials[3].gallery == dataset.trials[3].gallery  # the positions of the first vehicles agree
    other = read_dataset("vehicleid", tmp_path, draw_seed=1)
    assert [t.gallery for t in other.trials[:10]] != [t.gallery for t in dataset.trials[:10]]


def test_vehicleid_official_numbers_of_queries(tmp_path):
    """facts/fastreid.md, 9.12; and mAP is the mean reciprocal rank on any draw."""
    assert [images - vehicles for vehicles, images in SIZES.values()] == [5_693, 11_777, 17_377]
    dataset = read_dataset("vehicleid", write_vehicleid(tmp_path), size="large")
    generator = torch.Generator().manual_seed(0)
    images = Embedded(torch.randn(len(dataset.query), 3, generator=generator),
                      torch.tensor([s.pid for s in dataset.query]), torch.tensor([s.camid for s in dataset.query]))
    result = compare_trials(images, images, dataset.trials, distance="euclidean")
    reciprocal = (1 / result.ranking.first_hit.double()).mean()
    assert result.ranking.mAP == pytest.approx(float(reciprocal)) and result.ranking.inp.equal(result.ranking.ap)
    assert result.metrics["num_skipped"] == 0 and result.trials["large"]["num_trials"] == 10


def test_veri_wild(tmp_path):
    dataset = read_dataset("veri_wild", write_veri_wild(tmp_path))
    assert pids(dataset.train) == {1, 2} and pids(dataset.query) == {3, 4, 5} and len(dataset.gallery) == 6
    assert {s.camid for s in dataset.train} == {8, 30, 174} and {s.camid for s in dataset.query} == {8}
    assert dataset.query[0] == Sample("images/00003/000030.jpg", 3, 8) and dataset.first_camera == 0
    assert [(t.name, len(t.query), len(t.gallery)) for t in dataset.trials] == [
        ("small", 1, 2), ("medium", 2, 4), ("large", 3, 6)]
    assert "small has 1 queries; official VERI-Wild has 3,000" in dataset.warnings[0]
    assert "official VERI-Wild has 277,797 of 30,671" in dataset.warnings[-1]
    medium = read_dataset("veri_wild", tmp_path, size="medium")
    assert len(medium.query) == 2 and [t.name for t in medium.trials] == ["medium"]


@pytest.mark.parametrize("name", ["vehicleid", "veri_wild"])
def test_sizes_are_named(tmp_path, name):
    with pytest.raises(ConfigError, match=r"size=800 is unknown; choose one of small, medium, large, all"):
        read_dataset(name, tmp_path, size="800")


@pytest.mark.parametrize(("change", "message"), [
    (lambda base: (base / "image/0010200.jpg").unlink(), r"train_test_split lists 28 images, of which 1 are not below"),
    (lambda base: (base / "train_test_split/test_list_800.txt").write_text("12 a\n"), r"line 1: expected numbers of"),
    (lambda base: (base / "train_test_split/train_list.txt").write_text("\n"), r"train_list\.txt is empty"),
    (lambda base: (base / "train_test_split/test_list_800.txt").unlink(), r"(?s)expects image.*lacks some of them"),
    (lambda base: (base / "train_test_split/test_list_800.txt").write_text("0000100 1\n"),
     r"1 vehicles are in a test list and in train_list\.txt, such as 1"),
    (lambda base: append(base / "train_test_split/train_list.txt", "0000100 999\n"),
     r"train_list\.txt: lines 1 and 9 list 0000100 twice, as '0000100 1' and as '0000100 999'; leave one"),
    (lambda base: append(base / "train_test_split/test_list_2400.txt", "0010100 102\n"),
     r"test_list_2400\.txt: lines 1 and 21 list 0010100 twice, as '0010100 101' and as '0010100 102'"),
    (lambda base: swap(base / "train_test_split/test_list_800.txt", "0010100 101", "0010100 102"),
     r"the query list of vehicleid in .*: 1 images are listed twice, such as image/0010100\.jpg, as pid 101 .* 102"),
])
def test_bad_vehicleid(tmp_path, change, message):
    change(write_vehicleid(tmp_path) / "VehicleID")
    with pytest.raises(DataError, match=message):
        read_dataset("vehicleid", tmp_path)


@pytest.mark.parametrize(("change", "message"), [
    (lambda base: (base / "images/00004/000041.jpg").unlink(), r"of which 1 are not below .*images/00004/000041\.jpg"),
    (lambda base: (base / "train_test_split/train_list.txt").write_text("00001-000010.jpg"), r"line 1: expected a veh"),
    (lambda base: (base / "train_test_split/vehicle_info.txt").write_text("id;cam\n00001/000010;8\n"),
     r"vehicle_info\.txt has no camera of 5 of the 6 images in train_test_split/train_list\.txt"),
    (lambda base: (base / "train_test_split/vehicle_info.txt").write_text("id;cam\n00001/000010\n"),
     r"vehicle_info\.txt: expected lines such as"),
    (lambda base: (base / "train_test_split/test_3000.txt").write_text(""), r"test_3000\.txt is empty"),
    (lambda base: append(base / "train_test_split/train_list.txt", "00001/000010.jpg\n"),
     r"train_list\.txt: lines 1 and 7 list 00001/000010 twice"),
    (lambda base: append(base / "train_test_split/vehicle_info.txt", "00001/000010;9;;;;\n"),
     r"vehicle_info\.txt: lines 2 and 17 list 00001/000010 twice, as '00001/000010;8;.*' and as '00001/000010;9;"),
])
def test_bad_veri_wild(tmp_path, change, message):
    change(write_veri_wild(tmp_path) / "VERI-Wild")
    with pytest.raises(DataError, match=message):
        read_dataset("veri_wild", tmp_path)


def test_draws_do_not_touch_the_global_generator(tmp_path):
    write_vehicleid(tmp_path)
    random.seed(3)
    before = random.getstate()
    read_dataset("vehicleid", tmp_path)
    assert random.getstate() == before
