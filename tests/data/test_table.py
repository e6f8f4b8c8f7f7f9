"""Tables of images: dialects of columns, identities, boxes, and splits that are given or made."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_reid.data.places import OWN_PLACE, under_protocol
from nas_reid.data.readers import read_dataset
from nas_reid.data.sample import Dataset
from nas_reid.data.store import build_store
from nas_reid.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Empty files: readers open no image unless boxes are to be clipped."""
    (tmp_path / "images" / "below").mkdir(parents=True)
    for number in range(12):
        (tmp_path / "images" / "below" / f"{number}.jpg").touch()
    return tmp_path / "images"


def write(folder: Path, text: str) -> Path:
    (folder.parent / "table.csv").write_text(text)
    return folder.parent / "table.csv"


def read(folder: Path, text: str, **options: Any) -> Dataset:
    return read_dataset("table", folder, table=str(write(folder, text)), **options)


def row(number: int, *cells: object) -> str:
    return ",".join([f"below/{number}.jpg", *map(str, cells)])


def listed(samples) -> list[tuple]:
    return [(int(Path(s.path).stem), s.pid, s.camid) for s in samples]


def test_queries_and_gallery_as_they_are_named(folder: Path) -> None:
    dataset = read(folder, "\n".join(["path,pid,camid,split", row(0, 5, 3, "train"), row(1, 7, 1, "query"),
                                      row(2, 7, 2, "gallery"), row(3, 0, 2, "gallery"), row(4, -1, 2, "gallery")]))
    assert listed(dataset.train) == [(0, 5, 2)] and listed(dataset.query) == [(1, 7, 0)]
    assert listed(dataset.gallery) == [(2, 7, 1), (3, 0, 1)]
    assert dataset.first_camera == 1 and dataset.made_split is None and dataset.trials == ()
    assert any("left out 1 rows without a known identity" in warning for warning in dataset.warnings)


def test_the_table_of_open_metric_learning(folder: Path) -> None:
    """Labels from 0 and as pandas writes them beside empty cells; queries that are searched too; no cameras."""
    dataset = read(folder, "\n".join([
        ",label,path,split,is_query,is_gallery,category", "0,0.0,below/0.jpg,train,,,a", "1,0.0,below/1.jpg,train,,,a",
        "2,1.0,below/2.jpg,validation,True,True,b", "3,1.0,below/3.jpg,validation,True,True,b",
        "4,2.0,below/4.jpg,validation,False,True,b"]))
    assert [s.pid for s in dataset.train] == [1, 1] and [s.pid for s in dataset.gallery] == [2, 2, 3]
    [trial] = dataset.trials
    assert dataset.query == dataset.gallery and trial.junk == "same_camera_allowed"
    assert list(trial.query) == [0, 1] and list(trial.gallery) == [0, 1, 2]
    assert len({s.camid for s in dataset.gallery}) == 3 and min(s.camid for s in dataset.gallery) >= OWN_PLACE
    assert any("passed over the columns '', 'category'" in warning for warning in dataset.warnings)


def test_the_table_of_wildlife_datasets(folder: Path) -> None:
    """Names, unknown ones, and boxes as left, upper edge, width and height; two of one picture."""
    dataset = read(folder, "\n".join([
        "image_id;identity;path;bbox;split;species", "a;Nala;below/0.jpg;[1, 2, 3, 4];train;lion",
        "b;Simba;below/0.jpg;[10.4, 2.0, 3.2, 4.0];train;lion", "c;unknown;below/1.jpg;;train;lion"]))
    assert [(s.pid, s.box) for s in dataset.train] == [(1, (1, 2, 4, 6)), (2, (10, 2, 14, 6))]
    assert dataset.names == {1: "Nala", 2: "Simba"}
    assert [s.name for s in dataset.train] == ["below/0.jpg#xywh=1,2,3,4", "below/0.jpg#xywh=10,2,4,4"]


PEOPLE = "\n".join(["file,who,camera,note", *(row(n, f"p{n // 2}", f"cam{n % 2}", "") for n in range(12))])
NAMED = {"columns": {"pid": "who"}, "ignore": ["note"]}


def test_a_split_is_made_by_identity_and_others_can_use_it(folder: Path) -> None:
    dataset = read(folder, PEOPLE, **NAMED)
    trained, tested = ({s.pid for s in part} for part in (dataset.train, (*dataset.query, *dataset.gallery)))
    assert len(trained) == len(tested) == 3 and not trained & tested
    assert [s.pid for s in dataset.query] == [s.pid for s in dataset.gallery]  # one of two cameras each
    assert "from seed 0, test_fraction 0.5; 6 images of 3 identities" in dataset.made_split.says
    dataset.made_split.write(folder.parent / "split.csv")
    again = read_dataset("table", folder, table=str(folder.parent / "split.csv"))
    assert (again.train, again.query, again.gallery, again.names) == (dataset.train, dataset.query, dataset.gallery,
                                                                      dataset.names)
    assert again.made_split is None
    assert read(folder, PEOPLE, **NAMED, split_seed=1).train != dataset.train
    shuffled = PEOPLE.split("\n")
    assert read(folder, "\n".join([shuffled[0], *shuffled[:0:-1]]), **NAMED).train == dataset.train


def test_folds_part_the_identities(folder: Path) -> None:
    tested = [{s.pid for s in (*found.query, *found.gallery)} for fold in range(4)
              for found in [read(folder, PEOPLE, **NAMED, folds=4, fold=fold)]]
    assert sorted(map(len, tested)) == [1, 1, 2, 2] and set.union(*tested) == {1, 2, 3, 4, 5, 6}


def test_without_cameras_all_images_search_each_other_and_one_alone_is_a_distractor(folder: Path) -> None:
    text = "\n".join(["path,label,split", row(0, "a", "train"), row(1, "b", "test"), row(2, "b", "test"),
                      row(3, "lonely", "test")])
    dataset = read(folder, text)
    [trial] = dataset.trials
    assert [dataset.query[i].path for i in trial.query] == ["below/1.jpg", "below/2.jpg"]
    assert [dataset.gallery[i].path for i in trial.gallery] == ["below/1.jpg", "below/2.jpg", "below/3.jpg"]
    assert "1 of whom have no second image" in dataset.made_split.says
    dataset.made_split.write(folder.parent / "split.csv")
    again = read_dataset("table", folder, table=str(folder.parent / "split.csv"))
    assert (again.query, again.gallery, again.trials) == (dataset.query, dataset.gallery, dataset.trials)


def test_validation_beside_a_test_is_the_authors(folder: Path) -> None:
    dataset = read(folder, "\n".join(["path,pid,camid,split", row(0, 1, 1, "train"), row(1, 2, 1, "val"),
                                      row(2, 3, 1, "query"), row(3, 3, 2, "gallery")]))
    assert dataset.validation_pids == {2} and len(dataset.train) == 2


def test_images_of_a_sequence_share_a_place(folder: Path) -> None:
    dataset = read(folder, "\n".join(["path,pid,track,split", *(row(n, 1, "ab"[n // 2] if n < 4 else "", "test")
                                                                for n in range(6))]))
    places = [s.camid - OWN_PLACE for s in dataset.gallery]
    assert places == [0, 0, 1, 1, 2, 3]


SPLIT = "path,pid,camid,split"


@pytest.mark.parametrize(("text", "parts"), [
    ("path,pid,pose\n" + row(0, 1, "x"), ("unknown columns 'pose'", r"columns=\{pid: pose\}", r"ignore=\[pose\]")),
    ("path,pid,camra\n" + row(0, 1, 1), (r"'camra' \(did you mean camera\?\)",)),
    ("path,who\n" + row(0, 1), (r"unknown columns 'who'",)),
    ("path,camid\n" + row(0, 1), ("has no column pid", "its columns are path, camid")),
    ("path,pid,label\n" + row(0, 1, 1), ("columns pid and label both mean pid", r"ignore=\[label\]")),
    ("path,pid\n" + row(0, 1) + "\n" + row(0, 2), ("1 rows repeat an image", "lines 2 and 3", "as 1 and as 2")),
    ("path,pid\n" + row(0, 1) + "\n" + row(0, 1), ("lines 2 and 3, both times as 1",)),
    ("path,pid\nbelow/0.jpg", ("line 2: 1 values, and the head line names 2 columns",)),
    ("path,pid\n" + row(99, 1) + "\n" + row(0, 2),
     ("lists 2 images, of which 1 are not below", "99.jpg", "set data.root=", "absent=skip")),
    ("path,pid,x_1,y_1,x_2,y_2\n" + row(0, 1, 5, 1, 5, 9), (r"line 2: \(5, 1, 5, 9\)", "x_1 < x_2")),
    ("path,pid,x_1,y_1,x_2,y_2\n" + row(0, 1, -3, 1, 5, 9), ("begin outside their picture", "clip_boxes=true")),
    ("path,pid,x_1,y_1,x_2\n" + row(0, 1, 1, 1, 5), ("a box is either x_1, y_1, x_2, y_2 or bbox",)),
    ("path,pid,x_1,y_1,x_2,y_2\n" + row(0, 1, "wide", 1, 5, 9), ("x_1='wide'", "a number of pixels")),
    (f"{SPLIT}\n" + row(0, 1, 1, "train") + "\n" + row(1, 1, 2, "query") + "\n" + row(2, 2, 2, "gallery"),
     ("1 identities are trained on and tested on, such as 1 in lines 2 and 3", r"ignore=\[split\]")),
    (f"{SPLIT}\n" + row(0, 1, 1, "train") + "\n" + row(1, 2, 2, "query"), ("1 queries and no gallery", "is_gallery")),
    (f"{SPLIT}\n" + row(0, 1, 1, "trian"), ("split='trian'", "train, query, gallery, validation or test")),
    ("path,pid,is_query\n" + row(0, 1, "True"), ("a column is_query and none is_gallery",)),
    ("path,pid,is_query,is_gallery\n" + row(0, 1, "maybe", "1"), ("is_query='maybe'",)),
    ("path,pid,split,is_query,is_gallery\n" + row(0, 1, "train", 1, ""), ("training rows are queries or gallery",)),
    ("path,pid,camid\n" + row(0, 1, 1) + "\n" + row(1, 2, ""), ("1 of 2 rows name no camera", r"ignore=\[camid\]")),
    ("path,pid\n" + row(0, 1), ("table.csv: 1 identity cannot be divided into people to train on",)),
    ("path,pid\n", ("has no row",)),
    ("", ("table.csv: it is empty", "Save or export the table as CSV")), ("\n \n", ("it is empty",)),
    ('{"path": "a.jpg", "pid": 1}\n', ("it is JSON",)), ("PK\3\4rest", ("it is a ZIP archive or an Excel workbook",)),
    ("<!DOCTYPE html><p>", ("it is a web page",)), ("version https://git-lfs.github.com/spec/v1\n", ("Git LFS",)),
    ("path,pid\nbelow/0.jpg,\0", ("it is no text, but binary",)),
    ("path,pid\n" + "\n".join(row(0, 1) for _ in range(100)) + "\0", ("bytes of value 0",)),
    ("path,pid,pid\n" + row(0, 1, 1), ("columns pid and pid both mean pid; rename one",)),
    ("path,pid,x_1,y_1,x_2,y_2\n" + row(0, 1, 0.1, 0.2, 0.9, 0.7),
     (r"no edge of a box lies beyond 1, such as in line 2: \(0.1, 0.2, 0.9, 0.7\)", "multiply parts")),
    ("path,pid,bbox\n" + row(0, 1, "0.1 0.2 0.8 0.5"), ("no edge of a box lies beyond 1",)),
    ("path,pid,camid\n" + row(0, 1, 1) + "\n" + row(1, 2, -1), ("1 of 2 rows name no camera .line 3: camid='-1'",)),
    ("path,pid,camid\n" + row(0, 1, 1) + "\n" + row(1, 2, -2), ("1 rows have no camera", "a number from 0")),
    ('path,pid\n"below/0.jpg,1', ("line 2: ",)),
])
def test_what_a_table_must_not_hold(text: str, parts: tuple[str, ...], folder: Path) -> None:
    for part in parts:
        with pytest.raises(DataError, match=part):
            read(folder, text)


def test_accents_may_be_spelt_as_another_system_does(folder: Path) -> None:
    there, written = "Cafe\u0301/e\u0301.jpg", "Caf\u00e9/\u00e9.jpg"
    (folder / there).parent.mkdir()
    shutil.copy(folder / "below" / "0.jpg", folder / there)
    dataset = read(folder, f"path,pid\n{written},1\n{row(0, 1)}\n{row(1, 2)}\n{row(2, 2)}")
    samples = {sample.path for sample in (*dataset.train, *dataset.query, *dataset.gallery)}
    assert there in samples and written not in samples
    assert any("1 paths spell their accents otherwise" in warning for warning in dataset.warnings)


def test_a_table_of_excels_own_encoding_is_told_from_a_wrong_folder(folder: Path) -> None:
    table = folder.parent / "excel.csv"
    table.write_bytes(f"path;pid\r\ncaf\u00e9.jpg;1\r\n{row(0, 2).replace(',', ';')}".encode("cp1252"))
    with pytest.raises(DataError, match=r"the table is not UTF-8.*CSV UTF-8.*absent=skip"):
        read_dataset("table", folder, table=str(table))


@pytest.mark.parametrize(("options", "message"), [
    ({"columns": {"who": "x"}}, "columns names who"), ({"columns": {"pid": "nobody"}}, "names nobody, which"),
    ({"ignore": ["nothing"]}, "names nothing, which"), ({"folds": 1}, "folds=1 must be at least 2"),
    ({"fold": 1}, "set folds too"), ({"test_fraction": 1}, "strictly between 0 and 1"),
    ({"ignore": "note"}, "expected"), ({"ignore": [1]}, "expected"), ({"columns": {"pid": 1}}, "expected"),
    ({"test_fraction": [1]}, "test_fraction=.1. must be a number"), ({"folds": {"a": 1}}, "folds=.* whole number"),
    ({"fold": "first"}, "fold='first' must be a whole number"), ({"folds": True}, "folds=True must be"),
    ({"absent": "maybe"}, "absent=maybe is unknown"), ({"split_seed": -1}, "split_seed=-1")])
def test_options_out_of_range(options: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read(folder, "path,pid,camid\n" + row(0, 1, 1) + "\n" + row(1, 2, 1), **options)


def test_names_that_python_would_take_for_numbers_stay_names(folder: Path) -> None:
    """int("1_2") is 12 and float("1e2") is 100: two people must not become one."""
    dataset = read(folder, "\n".join(["path,pid,split", row(0, "12", "train"), row(1, "1_2", "train"),
                                      row(2, "1e2", "train"), row(3, "100", "train"), row(4, "12", "train")]))
    assert dataset.names == {1: "100", 2: "12", 3: "1_2", 4: "1e2"}
    assert [sample.pid for sample in dataset.train] == [2, 3, 4, 1, 2]


def test_what_may_be_meant_otherwise_is_said(folder: Path) -> None:
    """The accent of the second Zoë is a letter of its own, as a Mac spells it in file names."""
    names = ("Zo\u00eb", "Zoe\u0308", "zo\u00eb", "Li")
    alike = read(folder, "\n".join(["path,pid", *(row(number, name) for number, name in enumerate(names))]))
    assert any(warning.startswith("2 identities have nearly the name of another") for warning in alike.warnings)
    counted = read(folder, "\n".join(["path,pid,camid", *(row(each, each // 2, each % 2) for each in range(8))]))
    assert any(warning.startswith("2 rows have pid 0, which is a distractor") for warning in counted.warnings)


def test_cameras_keep_their_names(folder: Path) -> None:
    dataset = read(folder, "\n".join(["path,pid,camid,split", row(0, 1, "yard", "train"), row(1, 1, "door", "train")]))
    assert dataset.camera_names == {1: "door", 2: "yard"} and [sample.camid for sample in dataset.train] == [1, 0]


def test_one_camera_alone_names_the_way_out(folder: Path) -> None:
    text = "\n".join(["path,pid,camera", *(row(number, number // 2 + 1, "door") for number in range(8))])
    alone = read(folder, text)
    assert alone.made_split is not None and not alone.query
    assert "no image in a second camera" in alone.made_split.says
    assert "'data.options.ignore=[camera]'" in alone.made_split.says
    assert len(read(folder, text, ignore=["camera"]).trials[0].query) == 4
    allowed = under_protocol(alone, "same_camera_allowed")
    assert len(allowed.trials[0].query) == len(allowed.trials[0].gallery) == 4  # both people, each with two images
    alone.made_split.write(folder.parent / "split.csv")
    again = under_protocol(read_dataset("table", folder, table=str(folder.parent / "split.csv")), "same_camera_allowed")
    assert again.trials == allowed.trials and listed(again.train) == listed(allowed.train)


def test_a_root_that_is_no_folder(folder: Path) -> None:
    table = write(folder, "path,pid\n" + row(0, 1) + "\n" + row(1, 2))
    with pytest.raises(DataError, match=r"data.root=\S+nowhere is not there; expected the folder that the paths in"):
        read_dataset("table", folder / "nowhere", table=str(table))
    with pytest.raises(DataError, match=r"data.root=\S+table.csv is a file"):
        read_dataset("table", table, table=str(table))


def test_no_such_table(folder: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the table .*none\.csv"):
        read_dataset("table", folder, table=str(folder / "none.csv"))
    with pytest.raises(ConfigError, match=r"needs data\.table=FILE\.csv"):
        read_dataset("table", folder)


def test_absent_images_can_be_left_out(folder: Path) -> None:
    dataset = read(folder, PEOPLE + "\n" + row(77, "p0", "cam0", ""), **NAMED, absent="skip")
    assert len({*dataset.train, *dataset.query, *dataset.gallery}) == 12
    assert any("left out 1 images that are not there: below/77.jpg" in warning for warning in dataset.warnings)


def test_boxes_are_cut_out_when_images_are_decoded(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "frame.png")
    Image.fromarray(pixels[5:25, 10:20]).save(tmp_path / "crop.png")
    text = "path,pid,x_1,y_1,x_2,y_2\nframe.png,1,10,5,20,25\ncrop.png,2,,,,\nframe.png,3,25,-4,40,9"
    (tmp_path / "t.csv").write_text(text)
    options = {"table": str(tmp_path / "t.csv"), "clip_boxes": True, "test_fraction": 0.1}
    dataset = read_dataset("table", tmp_path, **options)
    assert {s.pid: s.box for s in (*dataset.train, *dataset.gallery)} == {1: (10, 5, 20, 25), 2: (), 3: (25, 0, 30, 9)}
    samples = sorted((*dataset.train, *dataset.gallery), key=lambda s: s.pid)
    store = build_store(tmp_path, samples, image_size=(16, 8), cache_dir=tmp_path / "cache", workers=1,
                        on_corrupt="error")
    images = store.take(store.rows(samples))
    assert (images[0] == images[1]).all()
    assert (images[2].numpy() == np.asarray(Image.fromarray(pixels[:9, 25:]).resize((8, 16), 2))).all()


def test_a_box_that_leaves_its_picture_is_told_when_it_is_decoded(tmp_path: Path) -> None:
    Image.new("RGB", (30, 40)).save(tmp_path / "frame.png")
    with open(tmp_path / "t.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "pid", "x_1", "y_1", "x_2", "y_2"], ["frame.png", 1, 0, 0, 30, 40],
                                    ["frame.png", 2, 20, 0, 31, 40]])
    dataset = read_dataset("table", tmp_path, table=str(tmp_path / "t.csv"))
    with pytest.raises(DataError, match=r"frame.png#xywh=20,0,11,40: the box 20, 0, 31, 40 .* leaves the picture of "
                                        r"30 x 40 pixels.*clip_boxes=true"):
        build_store(tmp_path, (*dataset.train, *dataset.gallery), image_size=(8, 4), cache_dir=tmp_path / "cache",
                    workers=1, on_corrupt="error")
