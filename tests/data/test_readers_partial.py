"""Partial-REID, Occluded-REID and Partial-iLIDS at full size, and LLCM in miniature."""

import pytest

from nas_reid.data.readers import read_dataset
from nas_reid.data.sample import Sample
from nas_reid.errors import ConfigError, DataError
from tests.data.cross_modal_miniatures import write_llcm
from tests.data.vehicle_miniatures import write_partial

SETS = {"partial_reid": (60, 5), "occluded_reid": (200, 5), "partial_ilids": (119, 1)}


def pids(samples) -> set[int]:
    return {sample.pid for sample in samples}


@pytest.mark.parametrize("name", SETS)
def test_official_counts(tmp_path, name):
    people, images = SETS[name]
    dataset = read_dataset(name, write_partial(tmp_path, name, people, images))
    assert dataset.warnings == () and dataset.train == ()
    assert len(dataset.query) == len(dataset.gallery) == people * images
    assert {s.camid for s in dataset.query} == {0} and {s.camid for s in dataset.gallery} == {1}
    assert pids(dataset.query) == pids(dataset.gallery) == set(range(1, people + 1))


def test_the_number_of_an_image_can_stand_for_its_camera(tmp_path):
    write_partial(tmp_path, "partial_reid", 3, 5)
    dataset = read_dataset("partial_reid", tmp_path, cameras="index")
    assert {s.camid for s in dataset.query} == {1, 2, 3, 4, 5}
    found = [sum(g.pid == q.pid and g.camid != q.camid for g in dataset.gallery) for q in dataset.query]
    assert set(found) == {4}  # of 5
    assert "query has 15 images of 3 identities; official Partial-REID has 300 of 60" in dataset.warnings[0]
    with pytest.raises(ConfigError, match="cameras=file is unknown; choose one of distinct, index"):
        read_dataset("partial_reid", tmp_path, cameras="file")


@pytest.mark.parametrize(("gone", "message"), [
    ("whole_body_images", r"(?s)reader 'partial_reid' expects partial_body_images, whole_body_images.*found:"),
    ("whole_body_images/*", r"whole_body_images holds no image; expected images named like 001_01\.jpg"),
])
def test_missing_images(tmp_path, gone, message):
    base = write_partial(tmp_path, "partial_reid", 2, 1) / "Partial_REID"
    for path in base.glob("whole_body_images/*"):
        path.unlink()
    if not gone.endswith("*"):
        (base / gone).rmdir()
    with pytest.raises(DataError, match=message):
        read_dataset("partial_reid", tmp_path)


def test_digits_of_parent_folders_do_not_count(tmp_path):
    root = tmp_path / "reid_2020_c1"
    root.mkdir()
    dataset = read_dataset("partial_ilids", write_partial(root, "partial_ilids", 4, 1))
    assert dataset.query[0] == Sample("query/000_01.jpg", 1, 0)


@pytest.fixture(scope="module")
def llcm(tmp_path_factory):
    return write_llcm(tmp_path_factory.mktemp("llcm"))


def test_llcm(llcm):
    dataset = read_dataset("llcm", llcm)
    assert pids(dataset.train) == {1, 2} and len(dataset.train) == 2 * 5
    assert Sample("nir/0001/0001_c02_s1_f2_nir.jpg", 2, 1, 1) in dataset.train
    assert dataset.query == dataset.gallery and pids(dataset.query) == {3, 4, 5}
    assert [t.name for t in dataset.trials] == ["infrared to visible"] * 10 + ["visible to infrared"] * 10
    for trial in dataset.trials:
        query, gallery = [dataset.query[i] for i in trial.query], [dataset.gallery[i] for i in trial.gallery]
        kind = int(trial.name == "infrared to visible")
        assert {s.modality for s in query} == {kind} and {s.modality for s in gallery} == {1 - kind}
        assert len({(s.pid, s.camid) for s in gallery}) == len(gallery) == (2 * 3 + 1 if kind else 2 * 2 + 1)
        assert len(query) == (10 if kind else 14) and trial.cmc == "identities" and trial.junk == "same_camera"
    assert len({t.gallery for t in dataset.trials}) > 10
    assert "train has 10 images of 2 identities; official LLCM has 30,921 of 713" in dataset.warnings[0]


@pytest.mark.parametrize(("path", "text", "message"), [
    ("idx/test_id.txt", "2,3,4,9", r"test_id\.txt names 4 people, of whom 1 have no image in test_vis and test_nir: 9"),
    ("idx/test_id.txt", "2,x", r"test_id\.txt must hold identities separated by commas"),
    ("idx/train_nir.txt", "nir/0000/0000_c01_s1_f9_nir.jpg 0\n", r"lists 7 images, of which 1 are not below"),
    ("idx/train_nir.txt", "nir/0000/first.jpg 0\n", r"names an image 'nir/0000/first\.jpg'; expected a name"),
])
def test_bad_llcm(tmp_path, path, text, message):
    base = write_llcm(tmp_path) / "LLCM"
    (base / path).write_text(text)
    with pytest.raises(DataError, match=message):
        read_dataset("llcm", tmp_path)


def test_llcm_without_cameras(tmp_path):
    base = write_llcm(tmp_path) / "LLCM"
    for folder in list((base / "test_nir").iterdir()):
        folder.rename(folder.with_name(folder.name.replace("cam", "camera")))
    with pytest.raises(DataError, match=r"test_nir has no folder of a camera; expected cam1, cam2"):
        read_dataset("llcm", tmp_path)
