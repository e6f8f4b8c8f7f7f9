"""VIPeR, CUHK01, PRID, i-LIDS and GRID at full size: official counts, published splits, and what goes wrong."""

import shutil
import sys

import numpy as np
import pytest
from scipy.io import savemat

from nas_reid.data.readers import read_dataset
from nas_reid.data.sample import Dataset
from nas_reid.errors import ConfigError, DataError
from tests.data.miniatures import write_cuhk01, write_grid, write_ilids, write_partitions, write_prid, write_viper

WRITERS = {"viper": write_viper, "cuhk01": write_cuhk01, "prid": write_prid, "ilids": write_ilids, "grid": write_grid}
COUNTS = {"viper": (632, 316, 316), "cuhk01": (1_940, 972, 972), "prid": (200, 100, 649), "ilids": (236, 60, 60),
          "grid": (250, 125, 900)}


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return {name: write(tmp_path_factory.mktemp(name)) for name, write in WRITERS.items()}


def pids(samples) -> set[int]:
    return {sample.pid for sample in samples}


def check(dataset: Dataset) -> None:
    """What must hold of every split."""
    for part in (dataset.train, dataset.query, dataset.gallery):
        assert list(part) == sorted(set(part))
        assert all(sample.camid >= 0 and (dataset.root / sample.path).is_file() for sample in part)
    assert not pids(dataset.train) & (pids(dataset.query) | pids(dataset.gallery))
    assert min(pids(dataset.train) | pids(dataset.query)) > 0
    cameras = {(sample.pid, sample.camid) for sample in dataset.gallery}
    assert all(any(pid == query.pid and camid != query.camid for pid, camid in cameras) for query in dataset.query)


@pytest.mark.parametrize("name", WRITERS)
def test_official_counts_and_splits(roots, name):
    splits = [read_dataset(name, roots[name], split=split) for split in (0, 9)]
    for dataset in splits:
        check(dataset)
        assert (len(dataset.train), len(dataset.query), len(dataset.gallery)) == COUNTS[name]
        assert dataset.warnings == ()
    assert splits[0] == read_dataset(name, roots[name])
    assert pids(splits[0].train) != pids(splits[1].train)


@pytest.mark.parametrize("name", WRITERS)
def test_splits_are_numbered_from_0_to_9(roots, name):
    for split in (10, -1, "first"):
        with pytest.raises(ConfigError, match=rf"data\.options\.split={split} .* whole number from 0 to 9"):
            read_dataset(name, roots[name], split=split)


def test_published_splits(roots):
    """facts/torchreid.md, item 10: the draws of NumPy's and Python's generators with seed 1."""
    viper = read_dataset("viper", roots["viper"])
    first = [2 * index + 1 for index in (101, 575, 407, 441, 223, 531, 301, 41)]  # ids here are 0, 2, 4, ...; plus one
    assert set(first) <= pids(viper.train)
    order = np.random.RandomState(1).permutation(632)
    assert order[:8].tolist() == [101, 575, 407, 441, 223, 531, 301, 41]
    assert pids(viper.train) == {2 * index + 1 for index in order[:316]}
    assert sorted(pids(read_dataset("cuhk01", roots["cuhk01"]).train))[:8] == [1, 3, 4, 6, 7, 9, 10, 12]
    assert sorted(pids(read_dataset("prid", roots["prid"]).train))[:8] == [1, 3, 4, 6, 7, 8, 9, 14]


@pytest.mark.parametrize("name", ["viper", "cuhk01", "prid", "ilids"])
def test_another_seed_draws_other_splits(roots, name):
    other = read_dataset(name, roots[name], split_seed=2)
    check(other)
    assert pids(other.train) != pids(read_dataset(name, roots[name]).train)
    with pytest.raises(ConfigError, match=r"split_seed=-1 .* whole number from 0 to 4294967295"):
        read_dataset(name, roots[name], split_seed=-1)


@pytest.mark.parametrize("name", ["viper", "cuhk01"])
def test_directions(roots, name):
    forth, back = (read_dataset(name, roots[name], direction=direction) for direction in ("a_to_b", "b_to_a"))
    assert (forth.train, forth.query, forth.gallery) == (back.train, back.gallery, back.query)
    assert {s.camid for s in forth.query} == {0} and {s.camid for s in forth.gallery} == {1}
    with pytest.raises(ConfigError, match=r"direction=both is unknown; choose one of a_to_b, b_to_a"):
        read_dataset(name, roots[name], direction="both")


def test_distractors_are_in_the_gallery_alone(roots):
    for name, distractors in (("grid", 775), ("prid", 549)):
        dataset = read_dataset(name, roots[name], split=3)
        assert sum(sample.pid == 0 for sample in dataset.gallery) == distractors
        everyone = read_dataset(name, roots[name], split=3, combineall=True)
        assert 0 not in pids(everyone.train) and everyone.query == everyone.gallery == ()


def test_names_are_parsed(roots):
    cuhk01 = read_dataset("cuhk01", roots["cuhk01"])
    assert [(s.path, s.pid, s.camid) for s in cuhk01.train[:4]] == [
        ("campus/0001001.png", 1, 0), ("campus/0001002.png", 1, 0), ("campus/0001003.png", 1, 1),
        ("campus/0001004.png", 1, 1)]
    ilids = read_dataset("ilids", roots["ilids"])
    assert [s.camid for s in ilids.train[:4]] == [0, 1, 2, 3] and len(pids(ilids.train[:4])) == 1
    assert all(s.path == f"Persons/{s.pid:04d}{s.camid + 1:03d}.jpg" for s in ilids.query + ilids.gallery)
    grid = read_dataset("grid", roots["grid"])
    assert all(s.camid == s.pid % 8 for s in grid.query) and {s.camid for s in grid.gallery} == set(range(8))


def test_moving_the_root_changes_nothing_else(tmp_path):
    before = read_dataset("viper", write_viper(tmp_path / "here", people=6))
    shutil.move(tmp_path / "here", tmp_path / "there")
    after = read_dataset("viper", tmp_path / "there" / "viper")  # and one may name an inner folder
    assert after.train == before.train and after.root == tmp_path / "there/viper/VIPeR"


def test_other_counts_are_a_warning(tmp_path):
    warnings = read_dataset("cuhk01", write_cuhk01(tmp_path, people=5)).warnings
    assert len(warnings) == 3 and "official CUHK01 has 1,940 of 485" in warnings[0]


@pytest.mark.parametrize(("name", "gone", "message"), [
    ("viper", "viper/VIPeR/cam_b/004_90.bmp", r"1 people were seen by one of the two cameras only.* pids 5"),
    ("prid", "prid2011/prid_2011/single_shot/cam_b/person_0007.png", r"must both have persons 1 to 200.* first is 7"),
    ("grid", "grid/underground_reid/features_and_partitions.mat", r"(?s)expects probe, gallery, features_and.*found:"),
])
def test_a_missing_file(tmp_path, name, gone, message):
    root = WRITERS[name](tmp_path)
    (root / gone).unlink()
    with pytest.raises(DataError, match=message):
        read_dataset(name, root)


def test_partitions_that_do_not_fit_the_images(tmp_path):
    write_grid(tmp_path, pairs=6, distractors=2)
    write_partitions(tmp_path / "grid/underground_reid/features_and_partitions.mat", [np.array([2, 77])] * 10)
    with pytest.raises(DataError, match=r"partition 0 trains on ids that probe and gallery do not both have: 77"):
        read_dataset("grid", tmp_path)


@pytest.mark.parametrize(("content", "message"), [
    (b"MATLAB, or so it says" * 20, r"is not the MATLAB file it should be"),
    (b"", r"is not the MATLAB file it should be"),
    ({"other": 1}, r"no variable trainIdxAll; it has other"),
    ({"trainIdxAll": np.arange(4)}, r"trainIdxAll has no partition 0"),
])
def test_a_mat_file_that_is_not_what_it_claims(tmp_path, content, message):
    path = write_grid(tmp_path, pairs=4, distractors=1) / "grid/underground_reid/features_and_partitions.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    with pytest.raises(DataError, match=message):
        read_dataset("grid", tmp_path)


def test_without_scipy(tmp_path, monkeypatch):
    write_grid(tmp_path, pairs=4, distractors=1)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match=r"features_and_partitions.mat needs SciPy: pip install scipy"):
        read_dataset("grid", tmp_path)


def test_a_person_with_a_single_image_cannot_be_found(tmp_path):
    root = write_ilids(tmp_path)
    for shot in (1, 2, 3):
        (root / f"ilids/i-LIDS_Pedestrian/Persons/0012{shot:03d}.jpg").unlink()
    with pytest.raises(DataError, match=r"1 persons have a single image, the first is 0012"):
        read_dataset("ilids", root)
