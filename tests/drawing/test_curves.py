"""Curves: which records become panels, and what is left out."""

import numpy as np
import pytest
from PIL import Image

from nas_reid.drawing.curves import draw_cmc, draw_roc, draw_training
from nas_reid.drawing.picture_file import write_picture
from nas_reid.errors import NasReidError


def width(path) -> int:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.width


def test_one_panel_per_kind_of_metric(tmp_path):
    losses = [{"epoch": e, "loss": 1 / (e + 1), "lr": 0.1, "note": "x"} for e in range(3)]
    both = [{**record, "val_mAP": None if record["epoch"] == 1 else 0.5} for record in losses]
    assert draw_training(losses, tmp_path / "one.png") and draw_training(both, tmp_path / "two.png")
    assert 300 < width(tmp_path / "one.png") and width(tmp_path / "two.png") == 2 * width(tmp_path / "one.png")


@pytest.mark.parametrize("records", [[], [{"epoch": 0, "lr": 0.1}], [{"epoch": 0, "loss": None}]])
def test_nothing_to_draw_writes_nothing(tmp_path, records):
    assert draw_training(records, tmp_path / "curves.png") is False
    assert list(tmp_path.iterdir()) == []


def test_cmc_follows_the_curve(tmp_path):
    for name, last in {"a": 0.8, "b": 0.9}.items():
        draw_cmc({"euclidean": np.linspace(0.5, last, 30)}, tmp_path / f"{name}.png")
    assert width(tmp_path / "a.png") > 300
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_no_cmc(tmp_path):
    with pytest.raises(ValueError, match="no CMC curve"):
        draw_cmc({}, tmp_path / "cmc.png")


def test_a_picture_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NasReidError, match=r"cannot write the picture .*cmc.png"):
        write_picture(tmp_path / "file" / "cmc.png", lambda buffer: buffer.write(b"png"))


def test_roc_follows_the_curve(tmp_path):
    for name, last in {"a": 0.8, "b": 0.9}.items():
        draw_roc({"cosine": (np.array([0, 0.001, 0.2]), np.array([0.1, 0.5, last]))}, tmp_path / f"{name}.png")
    assert width(tmp_path / "a.png") > 300
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
    draw_roc({"perfect": (np.zeros(2), np.array([0.5, 1.0]))}, tmp_path / "perfect.png")  # no false accept at all
    assert width(tmp_path / "perfect.png") > 300


def test_no_roc(tmp_path):
    with pytest.raises(ValueError, match="no ROC curve"):
        draw_roc({}, tmp_path / "roc.png")
