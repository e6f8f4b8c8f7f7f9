"""The generator as a data set: files, determinism, interruption."""

import json
import os
import re
import shutil
from concurrent.futures import BrokenExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.data.layout import SYNTHETIC_CARD
from nas_reid.data.readers import read_dataset
from nas_reid.data.synthetic import SyntheticSpec, generate
from nas_reid.data.synthetic.completeness import damage
from nas_reid.data.synthetic.plan import GALLERY, QUERY, TRAIN, cameras_of, plan
from nas_reid.errors import ConfigError, DataError
from nas_reid.files import unfinished

FEW = {"size": "tiny", "train_ids": 4, "test_ids": 4, "distractor_ids": 2, "cameras": 3, "min_cameras": 2,
       "masks": True, "junk": 0.2}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("few"), SyntheticSpec(**FEW), workers=1)


def test_every_byte_is_the_same_for_one_worker_and_for_two(few: Path, tmp_path: Path) -> None:
    again = generate(tmp_path, SyntheticSpec(**FEW), workers=2)
    assert again.name == few.name
    assert files(again) == files(few)


def test_another_seed_gives_other_pictures_under_another_name(few: Path, tmp_path: Path) -> None:
    other = generate(tmp_path, SyntheticSpec(**FEW, seed=1), workers=1)
    assert other.name != few.name
    mine, theirs = files(few), files(other)
    shared = [name for name in mine if name.endswith(".jpg") and name in theirs]
    assert shared and all(mine[name] != theirs[name] for name in shared)


def test_tiny_is_read_by_the_market_reader(tmp_path: Path) -> None:
    spec = SyntheticSpec("tiny")
    dataset = read_dataset("market1501", generate(tmp_path, spec, workers=1))
    assert not dataset.warnings
    assert {s.pid for s in dataset.train} == set(range(1, 25))
    assert {s.pid for s in dataset.query} == set(range(25, 49))
    assert {s.pid for s in dataset.gallery} == {0, *range(25, 49)}
    assert {s.camid for s in dataset.train} == {0, 1, 2, 3}
    assert (len(dataset.train), len(dataset.query)) == (24 * 4 * 2, 24 * 4)
    assert len(dataset.gallery) == (24 + 2 * 4) * 4  # one of two images is the query; distractors have no query


def test_names_are_those_of_market1501_and_never_repeat(few: Path) -> None:
    names = [path.name for folder in (TRAIN, QUERY, GALLERY) for path in (few / folder).iterdir()]
    assert all(re.fullmatch(r"(-1|\d{4})_c[1-3]s1_\d{6}_\d{2}\.jpg", name) for name in names)
    assert len(set(names)) == len(names) == len(plan(SyntheticSpec(**FEW)))
    assert not any(name.startswith(("0000", "-1")) for name in (path.name for path in (few / TRAIN).iterdir()))


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_counts_are_those_of_the_preset(size: str) -> None:
    spec = SyntheticSpec(size)
    entries = plan(spec)
    people = {e.person for e in entries if e.folder == TRAIN}, {e.person for e in entries if e.pid > spec.train_ids}
    assert [len(part) for part in people] == [spec.train_ids, spec.test_ids]
    assert len({e.person for e in entries if e.pid == 0}) == spec.distractor_ids
    seen = [len(cameras_of(spec, person)) for person in range(1, 1 + spec.train_ids + spec.test_ids)]
    assert (min(seen), max(seen)) == (spec.min_cameras, spec.cameras)
    gallery = sum(e.folder == GALLERY and not e.junk for e in entries)
    assert sum(e.junk for e in entries) == round(0.05 * gallery)
    queries = [(e.pid, e.camera) for e in entries if e.folder == QUERY]
    assert len(set(queries)) == len(queries) == sum(seen[spec.train_ids:])


def test_images_masks_and_records_belong_together(few: Path) -> None:
    records = [json.loads(line) for line in (few / "metadata.jsonl").read_text().splitlines()]
    assert {record["path"] for record in records} == {f"{e.folder}/{e.name}" for e in plan(SyntheticSpec(**FEW))}
    for record in records:
        image = np.asarray(Image.open(few / record["path"]))
        mask = np.asarray(Image.open((few / "masks" / record["path"]).with_suffix(".png")))
        assert image.shape == (128, 64, 3) and mask.shape == (128, 64)
        assert 0 <= record["occluded"] <= 1
        assert (record["occluded"] > 0) <= (record["occluder"] != "none")
        assert bool((mask > 0).any()) or record["person"] == 0


def test_a_card_and_a_contact_sheet_lie_beside_the_images(few: Path) -> None:
    assert "no real person" in (few / "README.txt").read_text()
    assert json.loads((few / SYNTHETIC_CARD).read_text())["spec"]["seed"] == 0
    with Image.open(few / "contact_sheet.png") as sheet:
        assert sheet.width > 3 * 2 * 64 and sheet.height > 8 * 128


def test_a_finished_folder_is_reused(few: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in few.rglob("*")}
    assert generate(few.parent, SyntheticSpec(**FEW), workers=1) == few
    assert {path: path.stat().st_mtime_ns for path in few.rglob("*")} == before


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nas_reid.data.synthetic.generation.write_sheet", interrupt)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, SyntheticSpec(**FEW), workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_its_marker_is_drawn_again(few: Path, tmp_path: Path) -> None:
    spec = SyntheticSpec(**FEW)
    (tmp_path / spec.key / TRAIN).mkdir(parents=True)
    assert files(generate(tmp_path, spec, workers=1)) == files(few)


def test_the_slower_of_two_processes_takes_the_faster_one_s_folder(
        few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SyntheticSpec(**FEW)

    def overtaken(folder: Path, *arguments: object) -> None:
        shutil.copytree(few, tmp_path / spec.key)

    monkeypatch.setattr("nas_reid.data.synthetic.generation._write", overtaken)
    monkeypatch.setattr("nas_reid.files.lock.fcntl", None)  # only where there are no locks
    folder = generate(tmp_path, spec, workers=1)
    assert files(folder) == files(few)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write.*file.*choose another folder"):
        generate(tmp_path / "file", SyntheticSpec(**FEW), workers=1)


@pytest.mark.parametrize(("fields", "message"), [
    ({"size": "huge"}, "unknown size 'huge'; known: tiny, small, base"),
    ({"size": [1]}, "unknown size [1]"), ({"factors": {"a": 1}}, "known: easy"),  # no key of a dictionary can be these
    ({"factors": "brutal"}, "known: easy, default, hard"),
    ({"lookalike_kinds": ["clone"]}, "unknown look-alike kind 'clone'"),
    ({"own": 1.5}, "own=1.5: expected a number from 0 to 1"),
    ({"style": -1.0}, "style=-1.0"),
    ({"jpeg_quality": [90, 40]}, "two increasing numbers from 1 to 100"),
    ({"cameras": 12}, "one digit for the camera"),
    ({"min_cameras": 7}, "1 <= min_cameras <= cameras"),
    ({"views": 3}, "1, 2, 4 or 8"),
    ({"image_size": [128]}, "height and width"),
    ({"train_ids": 9000, "test_ids": 1000}, "at most 9999"),
    ({"train_ids": 0}, "train_ids=0: expected at least 1"),
    ({"seed": -1}, "seed=-1"),
    ({"skin_tones": 7}, "1 to 6"),
])
def test_an_illegal_value_is_named_with_its_rule(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        SyntheticSpec(**fields)


def test_levels_fill_only_what_is_not_given() -> None:
    hard = SyntheticSpec(factors="hard", own=0.1)
    assert (hard.own, hard.style, hard.truncation) == (0.1, 1.0, 0.1)
    assert SyntheticSpec().key == SyntheticSpec(jpeg_quality=[40, 90]).key != hard.key
    assert SyntheticSpec(style=1).key == SyntheticSpec(style=1.0).key


def test_a_damaged_folder_is_drawn_again_and_says_how_it_was_damaged(
        few: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, whole = SyntheticSpec(**FEW), files(few)
    image = next(name for name in whole if name.startswith(TRAIN))
    damages = {
        f"2 of {len(whole) - 2} files are missing": lambda root: [
            (root / name).unlink() for name in (image, f"masks/{image.replace('.jpg', '.png')}")],
        f"1 files were added, such as {TRAIN}/0001_c1s1_999999_01.jpg": lambda root: (
            root / TRAIN / "0001_c1s1_999999_01.jpg").write_bytes(whole[image]),
        f"{image} was changed": lambda root: (root / image).write_bytes(whole[image][:-9] + bytes(9)),
        "files.txt was changed": lambda root: (root / "files.txt").write_bytes(whole["files.txt"][:-100]),
        "missing or unreadable: FileNotFoundError": lambda root: (root / SYNTHETIC_CARD).unlink(),
        "missing or unreadable: JSONDecodeError": lambda root: (root / SYNTHETIC_CARD).write_bytes(b"{"),
        "missing or unreadable: KeyError": lambda root: (root / SYNTHETIC_CARD).write_text('{"images": 1}'),
    }
    drawn = shutil.copytree(few, tmp_path / "drawn")
    monkeypatch.setattr("nas_reid.data.synthetic.generation._write",
                        lambda folder, *_: shutil.copytree(drawn, folder, dirs_exist_ok=True))
    root = generate(tmp_path, spec, workers=1)
    for found, change in damages.items():
        change(root)
        caplog.clear()
        assert generate(tmp_path, spec, workers=1) == root
        assert len(re.findall(rf"the synthetic data set {root} is damaged: .*{found}", caplog.text)) == 1, found
        assert files(root) == whole and {path.name for path in tmp_path.iterdir()} == {root.name, "drawn"}


def test_bytes_that_change_without_a_trace_are_found_in_one_of_sixteen_starts(
        few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = shutil.copytree(few, tmp_path / few.name)
    image = next((root / TRAIN).iterdir())
    before = image.stat()
    image.write_bytes(image.read_bytes()[::-1])
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = []
    for phase in range(16):
        monkeypatch.setattr("nas_reid.data.synthetic.completeness.time.time_ns", lambda phase=phase: phase)
        found.append(damage(root))
    assert (found.count(f"{TRAIN}/{image.name} was changed"), found.count(None)) == (1, 15)


def test_leftovers_of_killed_processes_are_removed_although_nothing_is_drawn(few: Path, tmp_path: Path) -> None:
    shutil.copytree(few, tmp_path / few.name)
    (unfinished(tmp_path / "synthetic-of-a-dead-process") / TRAIN).mkdir(parents=True)
    generate(tmp_path, SyntheticSpec(**FEW), workers=1)
    assert [path.name for path in tmp_path.iterdir()] == [few.name]


def test_a_worker_that_is_killed_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise BrokenExecutor

    monkeypatch.setattr("nas_reid.data.synthetic.generation._write", killed)
    with pytest.raises(DataError, match=r"was killed, perhaps because memory ran out.*data\.workers=1"):
        generate(tmp_path, SyntheticSpec(**FEW), workers=1)
    assert list(tmp_path.iterdir()) == []
