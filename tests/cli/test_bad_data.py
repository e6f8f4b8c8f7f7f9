"""Data that are not what was announced: said at once, with what was expected and what was found."""

import csv
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nas_reid.data.readers import read_dataset
from tests.cli.commands import RETRAIN, SEARCH, invoke
from tests.cli.refusals import assert_nothing_half_written, assert_refused

pytestmark = pytest.mark.usefixtures("no_pictures")

GENOTYPE = ("genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]")
PARTS = ("train", "query", "gallery")


@pytest.fixture
def mine(drawn: Path, tmp_path: Path) -> Path:
    """The same images in the layout of reader ``folder``."""
    dataset = read_dataset("market1501", drawn)
    for part in PARTS:
        (tmp_path / "mine" / part).mkdir(parents=True)
        for sample in getattr(dataset, part):
            shutil.copy(drawn / sample.path, tmp_path / "mine" / part)
    return tmp_path / "mine"


def own(folder: Path) -> tuple[str, ...]:
    """Overrides that replace the drawn data by those in ``folder``; for after ``SEARCH``'s other settings."""
    kept = [override for override in RETRAIN if not override.startswith("data.synthetic")]
    return (*kept, "data=folder", f"data.root={folder}")


@pytest.mark.parametrize(("command", "arguments"), [("search", SEARCH), ("retrain", (*RETRAIN, *GENOTYPE))])
def test_fewer_identities_than_a_batch_wants(command: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    outcome = invoke(command, *arguments, "batch.size=36", f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, "needs 9 identities and the data have 8", "lower batch.size or raise batch.instances")
    assert_nothing_half_written(tmp_path)


def test_a_training_without_anything_to_evaluate_on_is_refused_before_decoding(mine: Path, tmp_path: Path) -> None:
    outcome = invoke("retrain", *own(mine), *GENOTYPE, "data.options.combineall=true", f"data.cache={tmp_path / 'own'}",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, "has neither query nor gallery", "targets=, to evaluate on")
    assert not (tmp_path / "own" / "stores").exists()
    assert_nothing_half_written(tmp_path / "run")


@pytest.mark.parametrize(("prepare", "parts"), [
    (lambda root: shutil.rmtree(root), ("mine is not a folder", r"expected:\s+\S+mine/train/\d+_c\d", "data.root=")),
    (lambda root: shutil.rmtree(root / "query"), ("has no folder query", "found: .*gallery, train")),
    (lambda root: [path.unlink() for path in (root / "gallery").iterdir()], ("gallery: it holds no image", "empty")),
    (lambda root: [path.rename(path.with_name(f"img{i}.jpg")) for i, path in enumerate((root / "train").iterdir())],
     ("none of its .* images has a name like", r"pid, then _c and the camera", "found: .*img")),
    (lambda root: [(root / old).rename(root / new) for old, new in
                   (("train", "bounding_box_train"), ("gallery", "bounding_box_test"))],
     ("has no folder train, gallery", "layout of reader 'market1501': set data=market1501")),
])
def test_a_data_folder_that_is_not_what_was_announced(prepare: Callable[[Path], object], parts: tuple[str, ...],
                                                      mine: Path, tmp_path: Path) -> None:
    prepare(mine)
    outcome = invoke("retrain", *own(mine), *GENOTYPE, f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, "DataError: ", *parts)
    assert_nothing_half_written(tmp_path / "run")


def test_counts_other_than_the_official_ones_are_a_warning_with_both_numbers(drawn: Path, retrained: tuple,
                                                                              tmp_path: Path) -> None:
    shutil.copytree(drawn, tmp_path / "market", ignore=shutil.ignore_patterns("synthetic.json"))
    outcome = invoke("evaluate", "data=market1501", f"data.root={tmp_path / 'market'}", "data.workers=1", "threads=1",
                     f"checkpoint={retrained[0] / 'checkpoints' / 'best.pt'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    assert re.search(r"WARNING\].* train has 80 images of 10 identities; official Market-1501 has 12,936 of 751",
                     outcome.out)


@pytest.mark.parametrize("part", PARTS)
def test_unreadable_images_are_all_listed_before_the_training(part: str, mine: Path, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    broken = sorted((mine / part).iterdir())[:2]
    broken[0].write_bytes(b"not an image")
    broken[1].write_bytes(broken[1].read_bytes()[:200])
    monkeypatch.setattr("nas_reid.retrain.train_one_epoch", lambda *_, **__: pytest.fail("it trained"))
    outcome = invoke("retrain", *own(mine), *GENOTYPE, f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, r"2 of \d+ images in \S+mine cannot be read", "data.on_corrupt=skip",
                   *(re.escape(f"{part}/{path.name}: ") for path in broken))
    assert_nothing_half_written(tmp_path / "run")


def test_unreadable_images_can_be_left_out(mine: Path, tmp_path: Path) -> None:
    broken = [sorted((mine / part).iterdir())[0] for part in PARTS]
    for path in broken:
        path.write_bytes(b"not an image")
    outcome = invoke("retrain", *own(mine), *GENOTYPE, "data.on_corrupt=skip", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    for path in broken:
        assert re.search(rf"WARNING\].* left out 1 unreadable images .*{path.name}", outcome.out)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]["num_queries"] == 15


def test_queries_without_a_match_are_skipped_and_counted(mine: Path, retrained: tuple, tmp_path: Path) -> None:
    pid = sorted((mine / "query").iterdir())[0].name.split("_")[0]
    lost = [path for path in (mine / "gallery").iterdir() if path.name.startswith(pid)]
    for path in lost:
        path.unlink()
    evaluate = ("data=folder", f"data.root={mine}", "data.workers=1", "threads=1",
                f"checkpoint={retrained[0] / 'checkpoints' / 'best.pt'}")
    outcome = invoke("evaluate", *evaluate, f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    metrics = json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]
    assert metrics["num_skipped"] == 4 and metrics["num_queries"] == 16
    assert "4 of 16 queries" in outcome.out

    for path in (mine / "query").iterdir():
        if not path.name.startswith(pid):
            path.unlink()
    outcome = invoke("evaluate", *evaluate, f"hydra.run.dir={tmp_path / 'none'}")
    assert_refused(outcome, "DataError: none of the 4 queries has a match in the gallery", "another camera")
    assert_nothing_half_written(tmp_path / "none")


def test_file_names_that_are_not_utf8_are_evaluated_and_listed(mine: Path, retrained: tuple, tmp_path: Path) -> None:
    for path in mine.rglob("*.jpg"):
        path.rename(path.with_name(f"{path.stem}{os.fsdecode(bytes.fromhex('b2e2'))}.jpg"))
    (mine / "gallery" / os.fsdecode(b"\xb2.jpg")).touch()
    outcome = invoke("evaluate", "data=folder", f"data.root={mine}", "data.workers=1", "threads=1",
                     f"checkpoint={retrained[0] / 'checkpoints' / 'best.pt'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    with open(tmp_path / "run" / "queries.csv", encoding="utf-8", newline="") as table:
        assert all(row["path"].endswith(r"\udcb2\udce2.jpg") for row in csv.DictReader(table))
    assert r"2_c1_anything.jpg: \udcb2.jpg" in (tmp_path / "run" / "evaluate.log").read_text(encoding="utf-8")


def test_one_camera_is_refused_before_the_training_with_a_way_out(mine: Path, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_reid.retrain.train_one_epoch", lambda *_, **__: pytest.fail("it trained"))
    for path in mine.rglob("*.jpg"):
        path.rename(path.with_name(f"{path.name.split('_')[0]}_c1_{path.name}"))
    outcome = invoke("retrain", *own(mine), *GENOTYPE, "full_training_set=true", f"data.cache={tmp_path / 'own'}",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, r"none of the 16 queries has a match in the gallery \(folder in \S+mine\): no gallery "
                   "image shows a query's person from another camera", "protocol=same_camera_allowed", "targets=")
    assert not (tmp_path / "own" / "stores").exists()
    assert_nothing_half_written(tmp_path / "run")
