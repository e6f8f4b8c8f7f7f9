"""CUHK03: both protocols on images that are there, and taking them out of the archive through h5py or a stand-in."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from nas_reid.data.readers import cuhk03_archive, read_dataset
from nas_reid.errors import ConfigError, DataError
from nas_reid.files import unfinished
from tests.data.miniatures import touch

PEOPLE = [(1, 1), (1, 2), (2, 1), (5, 1)]
FILES = [f"{pair}_{person:03d}_{view}_{number:02d}.png" for pair, person in PEOPLE
         for view, number in ((1, 1), (1, 3), (2, 6))]


def strings(values) -> np.ndarray:
    cells = np.empty((len(values), 1), dtype=object)
    cells[:, 0] = values
    return cells


def write(root: Path, boxes: str = "detected", *, images: bool = True, **changes) -> Path:
    """Persons 1 and 2 of pair 1 train, the others are tested; as (view 1, view 1, view 2)."""
    base = touch(root / "cuhk03/cuhk03_release", ["cuhk-03.mat"]).parent
    if images:
        touch(base / f"images_{boxes}", FILES)
    savemat(base / f"cuhk03_new_protocol_config_{boxes}.mat", {
        "filelist": strings(FILES), "labels": np.arange(12)[:, None], "train_idx": np.arange(1, 7)[:, None],
        "query_idx": np.array([[7], [9], [10], [12]]), "gallery_idx": np.array([[8], [9], [11], [12]]), **changes})
    (base / cuhk03_archive.TEST_SETS).write_text(json.dumps([[[1, 2], [5, 1]]] * 20))
    return root


@pytest.mark.parametrize(("option", "boxes"), [("detected", "detected"), ("labelled", "labeled")])
@pytest.mark.parametrize("inside", ["", "cuhk03"])
def test_new_protocol(tmp_path, option, boxes, inside):
    dataset = read_dataset("cuhk03", write(tmp_path, boxes) / inside, boxes=option)
    assert [s.path for s in dataset.train] == [f"images_{boxes}/{name}" for name in FILES[:6]]
    assert [(s.pid, s.camid) for s in dataset.train] == [(1_001, 0), (1_001, 0), (1_001, 1),
                                                         (1_002, 0), (1_002, 0), (1_002, 1)]
    assert [(s.pid, s.camid) for s in dataset.query] == [(2_001, 0), (2_001, 1), (5_001, 0), (5_001, 1)]
    assert dataset.root == tmp_path / "cuhk03"
    assert f"official CUHK03 (new, {option}) has {dict(detected='7,365', labelled='7,368')[option]} of 767" in \
        dataset.warnings[0]


def test_classic_protocol(tmp_path):
    dataset = read_dataset("cuhk03", write(tmp_path), protocol="classic", split=19)
    assert {s.pid for s in dataset.train} == {1_001, 2_001} and {s.pid for s in dataset.query} == {1_002, 5_001}
    assert dataset.query == dataset.gallery and len(dataset.query) == 6
    assert "evaluation.single_gallery_shot=true" in dataset.warnings[0]
    assert "official CUHK03 (classic, detected) has 1,367 identities" in dataset.warnings[1]
    assert "has 12 images and CUHK03 14,097 detected ones; delete the folder" in dataset.warnings[-1]
    assert len(read_dataset("cuhk03", tmp_path, protocol="classic", combineall=True).train) == 12  # each image once


@pytest.mark.parametrize(("options", "message"), [
    ({"protocol": "old"}, r"protocol=old is unknown; choose one of new, classic"),
    ({"boxes": "labeled"}, r"boxes=labeled is unknown; choose one of detected, labelled"),
    ({"split": 1}, r"split=1 is unknown; choose a whole number from 0 to 0"),
    ({"protocol": "classic", "split": 20}, r"split=20 is unknown; choose a whole number from 0 to 19"),
])
def test_options(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        read_dataset("cuhk03", tmp_path, **options)


@pytest.mark.parametrize(("changes", "message"), [
    ({"query_idx": np.array([[13]])}, r"query_idx must number the 12 files of filelist from 1"),
    ({"gallery_idx": np.zeros((0, 1))}, r"gallery_idx must number"),
    ({"filelist": strings(["a.png"] * 12)}, r"config_detected.mat names an image 'a.png'; expected a name like 1_001"),
])
def test_a_config_that_is_not_the_protocols(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        read_dataset("cuhk03", write(tmp_path, **changes))


def test_images_that_moved(tmp_path):
    images = write(tmp_path) / "cuhk03/images_detected"
    (images / FILES[7]).unlink()
    with pytest.raises(DataError, match=rf"config_detected.mat lists 14 images, of which 1 are not .*{FILES[7]}"):
        read_dataset("cuhk03", tmp_path)
    for name in FILES[-3:]:
        (images / name).unlink()
    with pytest.raises(DataError, match=r"no image of 1 of the 2 people that split 0 tests.*person 1 of camera pair 5"):
        read_dataset("cuhk03", tmp_path, protocol="classic")


def test_config_of_version_7_3(tmp_path):
    path = write(tmp_path) / "cuhk03/cuhk03_new_protocol_config_detected.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 64)
    with pytest.raises(DataError, match=r"config_detected.mat is not the MATLAB file it should be"):
        read_dataset("cuhk03", tmp_path)


def test_damaged_test_sets(tmp_path):
    path = write(tmp_path) / "cuhk03" / cuhk03_archive.TEST_SETS
    path.write_text("[[")
    with pytest.raises(DataError, match=r"classic_test_sets.json is damaged .* delete it"):
        read_dataset("cuhk03", tmp_path, protocol="classic")
    path.write_text("[]")
    with pytest.raises(DataError, match=r"has 0 test sets, not the 20 of CUHK03"):
        read_dataset("cuhk03", tmp_path, protocol="classic")


def test_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    write(tmp_path, images=False)
    with pytest.raises(DataError, match=r"cuhk-03.mat, a MATLAB file of version 7.3, needs h5py: pip install h5py"):
        read_dataset("cuhk03", tmp_path)
    (tmp_path / "cuhk03/cuhk03_release/cuhk-03.mat").unlink()
    with pytest.raises(DataError, match=r"has neither images_detected nor cuhk03_release/cuhk-03.mat"):
        read_dataset("cuhk03", tmp_path)


def archive_content() -> dict[str, np.ndarray]:
    """Name -> array with HDF5's reversed axes; references are names. Person 2 of pair 1 has no image 3."""
    content = {"#empty": np.zeros(2, dtype=np.uint64), "testsets": np.empty((1, 20), dtype=object),
               "detected": np.empty((1, 5), dtype=object)}
    for pair in range(1, 6):
        people = np.empty((10, sum(own == pair for own, _ in PEOPLE)), dtype=object)
        people[:] = "#empty"
        for person in range(1, people.shape[1] + 1):
            for number in (1, 3, 6):
                if (pair, person, number) != (1, 2, 3):
                    name = f"#{pair}{person}{number}"
                    content[name] = np.full((3, 4, 8), [[[40 * pair]], [[person]], [[number]]], dtype=np.uint8)
                    people[number - 1, person - 1] = name
        content[f"#pair{pair}"] = people
        content["detected"][0, pair - 1] = f"#pair{pair}"
    for k in range(20):
        content["testsets"][0, k] = f"#set{k}"
        content[f"#set{k}"] = np.array([[1, 2], [5, 1]], dtype=float).T
    return content


class OpenFile(dict):
    """What of an open ``h5py.File`` is used."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture(params=["stand-in", "h5py"])
def archive(request, tmp_path, monkeypatch) -> Iterator[Path]:
    """A root whose archive can be opened, with the real h5py where it is installed."""
    root, content = write(tmp_path, images=False), archive_content()
    (root / "cuhk03" / cuhk03_archive.TEST_SETS).unlink()
    if request.param == "h5py":
        write_hdf5(pytest.importorskip("h5py"), root / "cuhk03" / cuhk03_archive.ARCHIVE, content)
    else:
        monkeypatch.setitem(sys.modules, "h5py", SimpleNamespace(File=lambda path, mode: OpenFile(content)))
    return root


def write_hdf5(h5py, path: Path, content: dict[str, np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in sorted(content.items(), key=lambda item: item[1].dtype == object):
            if array.dtype != object:
                file[name.replace("#", "#refs#/")] = array
        for name in sorted((name for name in content if content[name].dtype == object), key=lambda n: n[0] != "#"):
            cells = file.create_dataset(name.replace("#", "#refs#/"), content[name].shape, dtype=h5py.ref_dtype)
            for place, target in np.ndenumerate(content[name]):
                cells[place] = file[target.replace("#", "#refs#/")].ref


def test_images_and_test_sets_are_taken_out_once(archive, monkeypatch):
    base = archive / "cuhk03"
    unfinished(base / "images_labeled").mkdir()  # of a process that was killed
    read_dataset("cuhk03", archive, protocol="classic")
    names = sorted(path.name for path in (base / "images_detected").iterdir())
    assert names == sorted(set(FILES) - {"1_002_1_03.png"})
    image = Image.open(base / "images_detected/2_001_2_06.png")
    assert image.size == (4, 8) and image.getpixel((0, 0)) == (80, 1, 6)
    assert json.loads((base / cuhk03_archive.TEST_SETS).read_text()) == [[[1, 2], [5, 1]]] * 20
    assert not [path for path in base.iterdir() if path.name.startswith(".")]
    monkeypatch.setitem(sys.modules, "h5py", None)  # from now on the archive is not opened
    dataset = read_dataset("cuhk03", archive, protocol="classic", split=3)
    assert len(dataset.train) == 6 and len(dataset.query) == 5


def test_an_archive_of_something_else(tmp_path, monkeypatch):
    write(tmp_path, images=False)
    monkeypatch.setattr(cuhk03_archive, "open_hdf5", lambda _: OpenFile())
    with pytest.raises(DataError, match=r"cuhk-03.mat is not CUHK03's file of images \(KeyError: 'detected'\)"):
        read_dataset("cuhk03", tmp_path)
    assert not [path for path in (tmp_path / "cuhk03").iterdir() if path.name.startswith((".", "images"))]
