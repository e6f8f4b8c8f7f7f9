"""Readers on miniature folders."""

import logging

import pytest

from nas_reid.data.layout import MARKET1501, SYNTHETIC_CARD
from nas_reid.data.readers import READERS, read_dataset
from nas_reid.data.readers.market1501 import OFFICIAL
from nas_reid.data.sample import Sample
from nas_reid.errors import ConfigError, DataError

MARKET_FILES = {
    "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c2s1_000001_01.jpg", "0007_c6s2_000111_02.jpg"],
    "query": ["0001_c1s1_001051_00.jpg", "0005_c3s1_000010_00.jpg"],
    "bounding_box_test": ["-1_c1s1_000401_03.jpg", "0000_c2s1_000151_02.jpg", "0001_c4s1_002051_01.jpg",
                          "0005_c1s1_000020_00.jpg", "Thumbs.db"],
}
FOLDER_FILES = {"train": ["3_c1_a.png", "12_c2.JPEG", "3_c2_b.bmp"], "query": ["20_c1_x.jpg"],
                "gallery": ["20_c2_y.jpg"]}


def write(root, files):
    """Empty files: readers never open an image."""
    for folder, names in files.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (root / folder / name).touch()
    return root


def test_market_drops_junk_and_keeps_distractors(tmp_path):
    dataset = read_dataset("market1501", write(tmp_path, MARKET_FILES))
    assert [(s.pid, s.camid) for s in dataset.train] == [(2, 0), (2, 1), (7, 5)]
    assert [(s.pid, s.camid) for s in dataset.query] == [(1, 0), (5, 2)]
    assert dataset.gallery == (Sample("bounding_box_test/0000_c2s1_000151_02.jpg", 0, 1),
                               Sample("bounding_box_test/0001_c4s1_002051_01.jpg", 1, 3),
                               Sample("bounding_box_test/0005_c1s1_000020_00.jpg", 5, 0))


def test_digits_in_parent_folders_do_not_count(tmp_path):
    dataset = read_dataset("market1501", write(tmp_path / "99_c9_data", MARKET_FILES))
    assert {s.pid for s in dataset.train} == {2, 7}


@pytest.mark.parametrize("nested", ["", "Market-1501-v15.09.15", "market1501/Market-1501-v15.09.15"])
def test_market_is_found_in_the_usual_places(tmp_path, nested):
    write(tmp_path / nested, MARKET_FILES)
    assert read_dataset("market1501", tmp_path).root == tmp_path / nested


def test_counts_are_compared_unless_the_folder_is_synthetic(tmp_path, caplog):
    write(tmp_path, MARKET_FILES)
    with caplog.at_level(logging.WARNING):
        warnings = read_dataset("market1501", tmp_path).warnings
    assert len(warnings) == 3
    assert "3 images of 2 identities" in warnings[0] and "12,936 of 751" in warnings[0]
    assert warnings[0] in caplog.text
    (tmp_path / SYNTHETIC_CARD).touch()
    assert read_dataset("market1501", tmp_path).warnings == ()


def test_official_counts_pass_without_a_warning(tmp_path):
    files = {}
    for (images, identities), first, camera, folder in zip(OFFICIAL.values(), (1001, 1, 0), (1, 1, 2),
                                                           MARKET1501.folders, strict=True):
        files[folder] = [f"{first + i % identities:04d}_c{camera}s1_{i:06d}_00.jpg" for i in range(images)]
    dataset = read_dataset("market1501", write(tmp_path, files))
    assert dataset.warnings == ()
    assert (len(dataset.train), len(dataset.query), len(dataset.gallery)) == (12_936, 3_368, 15_913)


def test_queries_without_a_match_are_counted_in_a_warning(tmp_path):
    """pid 1 is in another camera, pid 2 in its own only, pid 3 in its own and another, pid 4 nowhere."""
    files = {"train": ["9_c1_a.jpg"], "query": ["1_c1_a.jpg", "2_c1_a.jpg", "3_c1_a.jpg", "4_c1_a.jpg"],
             "gallery": ["1_c2_b.jpg", "2_c1_b.jpg", "3_c1_b.jpg", "3_c2_b.jpg"]}
    [warning] = read_dataset("folder", write(tmp_path, files)).warnings
    assert warning.startswith("2 of 4 queries have no image of their person from another camera")


def test_folder_reads_every_suffix_and_is_sorted(tmp_path):
    dataset = read_dataset("folder", write(tmp_path, FOLDER_FILES))
    assert [s.path for s in dataset.train] == ["train/12_c2.JPEG", "train/3_c1_a.png", "train/3_c2_b.bmp"]
    assert [(s.pid, s.camid) for s in dataset.train] == [(12, 1), (3, 0), (3, 1)]
    assert dataset.warnings == ()


def test_cameras_counted_from_zero_are_kept(tmp_path):
    dataset = read_dataset("folder", write(tmp_path, {**FOLDER_FILES, "query": ["20_c0_x.jpg"]}))
    assert dataset.query[0].camid == 0 and dataset.gallery[0].camid == 2


def test_oddities_are_reported(tmp_path):
    write(tmp_path, FOLDER_FILES)
    write(tmp_path, {"train": ["portrait_3_c1.jpg", "0_c1.jpg", "20_c3.jpg"]})
    dataset = read_dataset("folder", tmp_path)
    unnamed, distractor, shared = dataset.warnings
    assert "1 images" in unnamed and "portrait_3_c1.jpg" in unnamed
    assert "pid 0" in distractor and 0 not in {s.pid for s in dataset.train}
    assert "1 identities occur in train" in shared


def test_missing_root_names_what_exists(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(DataError, match="is not a folder") as error:
        read_dataset("market1501", tmp_path / "absent" / "deeper")
    assert all(part in str(error.value) for part in ("bounding_box_train", "elsewhere", "data.root="))


def test_missing_folder_is_named(tmp_path):
    write(tmp_path, {"query": ["1_c1.jpg"], "bounding_box_test": ["1_c2.jpg"]})
    with pytest.raises(DataError, match=r"has no folder bounding_box_train\n"):
        read_dataset("market1501", tmp_path)


@pytest.mark.parametrize("given, other, files",
                         [("market1501", "folder", FOLDER_FILES), ("folder", "market1501", MARKET_FILES)])
def test_the_other_layout_is_recognised(tmp_path, given, other, files):
    with pytest.raises(DataError, match=f"layout of reader '{other}': set data={other}"):
        read_dataset(given, write(tmp_path, files))


def test_root_one_level_too_deep_is_recognised(tmp_path):
    write(tmp_path, FOLDER_FILES)
    with pytest.raises(DataError, match=r"in its parent: set data.root="):
        read_dataset("folder", tmp_path / "train")


def test_empty_and_misnamed_folders(tmp_path):
    write(tmp_path, {**FOLDER_FILES, "query": []})
    with pytest.raises(DataError, match=r"it holds no image.*(?s:.)*which is empty"):
        read_dataset("folder", tmp_path)
    write(tmp_path, {"query": ["anna.jpg", "ben.jpg"]})
    with pytest.raises(DataError, match=r"none of its 2 images has a name like 0002_c1(?s:.)*anna.jpg, ben.jpg"):
        read_dataset("folder", tmp_path)
    write(tmp_path, {"query": ["-1_c1.jpg"]})
    with pytest.raises(DataError, match="only junk"):
        read_dataset("folder", tmp_path)


def test_unknown_and_withdrawn_names(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown reader 'markt'.*folder.*market1501"):
        read_dataset("markt", tmp_path)
    for name in ("dukemtmcreid", "duke", "DukeMTMC-reID"):
        with pytest.raises(ConfigError, match=r"withdrawn.*MSMT17 v2.*synthetic"):
            read_dataset(name, tmp_path)
    assert not set(READERS) & {"duke", "dukemtmcreid"}


def test_the_first_camera_has_the_number_of_the_file_names(tmp_path):
    counted = {"zero": {**FOLDER_FILES, "query": ["20_c0_x.jpg"]}, "one": FOLDER_FILES}
    for first, name in enumerate(counted):
        dataset = read_dataset("folder", write(tmp_path / name, counted[name]))
        assert dataset.first_camera == first
        for sample in (*dataset.train, *dataset.query, *dataset.gallery):
            assert f"_c{sample.camid + first}" in sample.path
