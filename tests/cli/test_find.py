"""Looking for someone in a folder."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.commands import invoke
from tests.cli.refusals import assert_refused
from tests.cli.trained_checkpoint import save_trained


@pytest.fixture
def images(tmp_path: Path) -> Path:
    save_trained(tmp_path / "best.pt")
    folder, random = tmp_path / "images", np.random.default_rng(0)
    (folder / "below").mkdir(parents=True)
    for name in ("a.png", "below/b.png", "c.png"):
        Image.fromarray(random.integers(256, size=(40, 20, 3), dtype=np.uint8)).save(folder / name)
    Image.open(folder / "c.png").save(tmp_path / "photograph.png")
    return folder


def find(images: Path, *words: object):
    return invoke("find", f"checkpoint={images.parent / 'best.pt'}", f"gallery={images}", "threads=1",
                  f"cache={images.parent / 'cache'}", f"hydra.run.dir={images.parent / 'run'}", *words)


def test_the_ranked_list_is_printed_written_and_drawn(images: Path, tmp_path: Path) -> None:
    words = (f"query=[{tmp_path / 'photograph.png'},{images / 'a.png'}]", "k=2", f"csv={tmp_path / 'mine.csv'}")
    outcome = find(images, *words)
    assert outcome.code == 0, outcome.err
    rows = list(csv.DictReader((tmp_path / "run" / "found.csv").read_text().splitlines()))
    assert (tmp_path / "mine.csv").read_text() == (tmp_path / "run" / "found.csv").read_text()
    assert [row["rank"] for row in rows] == ["1", "2", "1", "2"]
    assert rows[0]["path"] == "c.png" and float(rows[0]["distance"]) < 1e-4  # the same picture elsewhere
    assert {row["path"] for row in rows[2:]} == {"below/b.png", "c.png"}  # a.png does not find itself
    assert f"\n{images / 'a.png'}\n    1  " in outcome.out
    assert json.loads(outcome.out.splitlines()[-1])["gallery"] == 3
    with Image.open(tmp_path / "run" / "found.png") as picture:
        assert picture.size[0] > 200
    assert "features of 3 images" in outcome.out and "features of" not in find(images, *words).out


def test_what_is_not_there_is_refused(images: Path, tmp_path: Path) -> None:
    assert_refused(find(images, f"query={tmp_path / 'none.png'}"), r"query=\S+none.png is not there")
    assert_refused(find(images, "query=[]"), r"must be an image, a folder, or a list")
    (tmp_path / "empty").mkdir()
    assert_refused(find(images, f"query={tmp_path / 'empty'}"), r"query=\S+empty holds no image file")
    assert_refused(find(images, f"query={images}", f"gallery={tmp_path / 'empty'}"), r"gallery=\S+ holds no image file")
    assert_refused(find(images, f"query={images / 'a.png'}", f"csv={tmp_path}"), r"csv=\S+ is a folder")
    (tmp_path / "text.jpg").write_bytes(b"no image")
    assert_refused(find(images, f"query={tmp_path / 'text.jpg'}"), "text.jpg cannot be read as an image")
    assert not (tmp_path / "cache").exists()  # told before the gallery's features, which may take long
    (images / "broken.jpg").write_bytes(b"no image")
    assert_refused(find(images, f"query={images / 'a.png'}", "on_corrupt=error"),
                   "1 of 4 images in .*on_corrupt=skip\n  broken.jpg: cannot be")
    assert sorted(path.name for path in (tmp_path / "run").glob("found*")) == []
    mine = shutil.copy(images / "a.png", tmp_path / "\u7167\u7247 (1).png")
    outcome = find(images, f"query={mine}")
    assert outcome.code == 0 and "left out 1 of 4 images, which cannot be read:\n  broken.jpg: " in outcome.out
