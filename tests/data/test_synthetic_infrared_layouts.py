"""SYSU-MM01 and RegDB layout as the generator writes them: folders, lists, who is missing where."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.data.layout import SYNTHETIC_CARD
from nas_reid.data.readers import read_dataset
from nas_reid.data.synthetic import SyntheticSpec, generate
from nas_reid.data.synthetic.plan import lists, plan
from nas_reid.data.synthetic.population import populate
from nas_reid.data.synthetic.render import render
from nas_reid.data.synthetic.shot import describe_shot
from nas_reid.errors import ConfigError

SYSU = SyntheticSpec("tiny", layout="sysu_mm01", train_ids=6, val_ids=2, test_ids=4, images_per_camera=1, masks=True)
REGDB = SyntheticSpec("tiny", layout="regdb", train_ids=3, test_ids=3, images_per_camera=2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("drawn")
    return {spec.layout: generate(root, spec, workers=1) for spec in (SYSU, REGDB)}


def digest(folder: Path) -> str:
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(p.relative_to(folder)).encode() + p.read_bytes() for p in names)).hexdigest()


def ids(text: str) -> list[int]:
    return [int(pid) for pid in text.split(",")]


def test_visible_data_sets_keep_their_names_and_records(tmp_path: Path) -> None:
    spec = SyntheticSpec("tiny", train_ids=2, test_ids=2, distractor_ids=1, cameras=2, min_cameras=2)
    assert (SyntheticSpec().key, SyntheticSpec("tiny").key) == ("synthetic-small-51239f33f982",
                                                                "synthetic-tiny-ab0fa215c8d3")
    folder = generate(tmp_path, spec, workers=1)
    card = json.loads((folder / SYNTHETIC_CARD).read_text())["spec"]
    assert not {"layout", "infrared", "val_ids", "luminance", "woven", "illuminator", "sensitivity"} & set(card)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["bounding_box_test",
                                                                               "bounding_box_train", "query"]


@pytest.mark.parametrize(("person", "index", "upper", "lower"), [
    (1, 0, (162.2, 154.1, 137.6), (121.6, 117.1, 108.6)), (7, 1, (148.1, 154.9, 118.3), (112.9, 118.1, 100.1)),
    (30, 2, (163.1, 157.5, 170.6), (123.2, 129.3, 116.7)), (44, 3, (106.1, 121.5, 70.8), (109.9, 122.9, 104.6))])
def test_visible_pictures_are_those_from_before_infrared(person: int, index: int, upper: tuple[float, ...],
                                                         lower: tuple[float, ...]) -> None:
    image = render(SyntheticSpec("tiny"), describe_shot(SyntheticSpec("tiny"), person, index, 0)).image
    assert image.reshape(2, 64, 64, 3).mean((1, 2)) == pytest.approx(np.array([upper, lower]), abs=0.1)


@pytest.mark.parametrize("spec", [SYSU, REGDB])
def test_infrared_files_are_the_same_when_drawn_again(spec: SyntheticSpec, folders: dict[str, Path],
                                                      tmp_path: Path) -> None:
    assert digest(generate(tmp_path, spec, workers=1)) == digest(folders[spec.layout])


def test_sysu_folders_hold_what_the_lists_name(folders: dict[str, Path]) -> None:
    folder = folders["sysu_mm01"]
    images = [path.relative_to(folder).as_posix() for path in folder.glob("cam*/*/*.jpg")]
    assert all(re.fullmatch(r"cam[1-6]/\d{4}/0001\.jpg", name) for name in images)
    assert {int(name.split("/")[1]) for name in images} == set(ids((folder / "exp/available_id.txt").read_text()))
    assert sorted(path.relative_to(folder / "masks").with_suffix(".jpg").as_posix()
                  for path in (folder / "masks").rglob("*.png")) == sorted(images)
    with Image.open(folder / "cam3" / images[0].split("/")[1] / "0001.jpg") as picture:
        red, green, blue = picture.convert("RGB").split()
        assert red.tobytes() == green.tobytes() == blue.tobytes()
    assert "SYSU-MM01" in (folder / "README.txt").read_text()


def test_sysu_lists_are_disjoint_and_keep_look_alikes_together() -> None:
    spec = SyntheticSpec(layout="sysu_mm01")
    parts = {name: ids(lists(spec)[f"exp/{name}_id.txt"]) for name in ("train", "val", "test", "available")}
    assert {name: len(pids) for name, pids in parts.items()} == {"train": 80, "val": 20, "test": 60, "available": 160}
    assert sorted(parts["train"] + parts["val"] + parts["test"]) == parts["available"] == list(range(1, 161))
    people = populate(spec).train
    groups = [{people[pid - 1].group for pid in parts[name]} - {-1} for name in ("train", "val")]
    assert groups[0] and groups[1] and len(groups[0] & groups[1]) <= 1


def test_some_persons_are_missing_from_cameras_but_never_from_a_modality() -> None:
    seen: dict[int, set[int]] = {}
    for entry in plan(SyntheticSpec(layout="sysu_mm01")):
        seen.setdefault(entry.person, set()).add(entry.camera)
    missing = {person: set(range(6)) - cameras for person, cameras in seen.items()}
    assert sum(lost == {0, 1} for lost in missing.values()) == 16
    assert sum(lost in ({3, 5}, {4, 5}) for lost in missing.values()) == 16
    assert sum(not lost for lost in missing.values()) == 160 - 32
    assert all(cameras & {0, 3, 4} and cameras & {2, 5} for cameras in seen.values())
    everywhere = plan(SyntheticSpec(layout="sysu_mm01", min_cameras=6))
    assert len(everywhere) == 160 * 6 * 6


def test_regdb_lists_name_the_files_of_ten_splits(folders: dict[str, Path]) -> None:
    folder = folders["regdb"]
    splits = []
    for split in range(1, 11):
        people = {}
        for part in ("train", "test"):
            for modality in ("visible", "thermal"):
                text = (folder / f"idx/{part}_{modality}_{split}.txt").read_text()
                rows = [line.split() for line in text.splitlines()]
                assert len(rows) == 3 * 2 and all((folder / path).is_file() for path, _ in rows)
                assert all(path.startswith(f"{modality.capitalize()}/") for path, _ in rows)
                assert sorted({int(label) for _, label in rows}) == [0, 1, 2]
                people[part, modality] = {(int(path.split("/")[1]), label) for path, label in rows}
            assert people[part, "visible"] == people[part, "thermal"]
        train, test = ({pid for pid, _ in people[part, "visible"]} for part in ("train", "test"))
        assert train | test == set(range(1, 7)) and not train & test
        splits.append(tuple(sorted(train)))
    assert len(set(splits)) >= 3


def test_regdb_pairs_are_aligned(folders: dict[str, Path]) -> None:
    records = [json.loads(line) for line in (folders["regdb"] / "metadata.jsonl").read_text().splitlines()]
    visible, thermal = (records[:12], records[12:])
    for one, other in zip(visible, thermal, strict=True):
        assert one["path"].replace("Visible", "Thermal").replace("_v_", "_t_") == other["path"]
        assert {key for key in one if one[key] != other[key]} <= {"path", "camid", "occluded"}


def test_the_readers_of_the_real_sets_read_sysu_layout(folders: dict[str, Path]) -> None:
    dataset = read_dataset("sysu_mm01", folders["sysu_mm01"])
    drawn = plan(SYSU)
    train, test = ([e for e in drawn if (e.person <= SYSU.train_ids) == known] for known in (True, False))
    assert not dataset.warnings and len(dataset.validation_pids) == SYSU.val_ids
    assert {s.path for s in dataset.train} == {f"{e.folder}/{e.name}" for e in train}
    assert {(s.path, s.pid, s.camid, s.modality) for s in (*dataset.train, *dataset.query, *dataset.gallery)} == {
        (f"{e.folder}/{e.name}", e.pid, e.camera, int(e.camera in (2, 5))) for e in drawn}
    assert len(dataset.query) == sum(e.camera in (2, 5) for e in test)
    indoor = next(trial for trial in dataset.trials if trial.name == "indoor-search single-shot")
    assert len(indoor.gallery) == sum(e.camera in (0, 1) for e in test)
    assert {e.pid for e in test} - {dataset.gallery[i].pid for i in indoor.gallery} == {
        pid for pid in range(7, 11) if not (folders["sysu_mm01"] / f"cam1/{pid:04d}").exists()}


def test_the_readers_of_the_real_sets_read_every_split_of_regdb_layout(folders: dict[str, Path]) -> None:
    for split in (0, 9):
        dataset = read_dataset("regdb", folders["regdb"], split=split)
        assert not dataset.warnings
        assert (len(dataset.train), len(dataset.query)) == (3 * 2 * 2, 3 * 2 * 2) and dataset.query == dataset.gallery
        assert not {s.pid for s in dataset.train} & {s.pid for s in dataset.query}
        assert all((s.modality == 1) == s.path.startswith("Thermal/") for s in dataset.train)


@pytest.mark.parametrize(("fields", "message"), [
    ({"layout": "pets"}, "unknown layout 'pets'; known: market1501, sysu_mm01, regdb"),
    ({"infrared": "near"}, "infrared='near' needs layout=sysu_mm01 or layout=regdb"),
    ({"woven": 0.7}, "woven=0.7 needs layout=sysu_mm01"),
    ({"layout": "regdb", "infrared": "far"}, "unknown infrared 'far'; known: near, thermal, grey"),
    ({"layout": "sysu_mm01", "distractor_ids": 3}, "distractor_ids=3: layout=sysu_mm01 has none"),
    ({"layout": "sysu_mm01", "cameras": 4}, "layout=sysu_mm01 has 6 cameras, of which a person is in at least 4 or 6"),
    ({"layout": "sysu_mm01", "min_cameras": 2}, "cameras=6 and min_cameras=2"),
    ({"layout": "regdb", "min_cameras": 1}, "has 2 cameras, of which a person is in at least 2"),
    ({"layout": "sysu_mm01", "val_ids": 100}, "val_ids=100: expected 0 to train_ids - 1 = 99"),
    ({"layout": "regdb", "val_ids": 5}, "0 with layout=regdb"),
    ({"layout": "sysu_mm01", "luminance": 1.5}, "luminance=1.5: expected a number from 0 to 1"),
    ({"layout": "sysu_mm01", "illuminator": -1.0}, "illuminator=-1.0: expected a number from 0 to 5"),
    ({"layout": "sysu_mm01", "sensitivity": 1.5}, "sensitivity=1.5: expected a number from 0 to 1"),
])
def test_an_illegal_value_is_named_with_its_rule(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        SyntheticSpec(**fields)
