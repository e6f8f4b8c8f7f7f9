"""Curves: which records become panels, and what is left out."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nas_reid.drawing.curves import draw_cmc, draw_roc, draw_training, training_panels
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


def test_unlike_quantities_have_own_panels_and_names_no_prefixes():
    records = [{"epoch": 1, "search/loss_weights": 3, "search/loss_weights_triplet": 2.0, "search/loss_alphas": 1.5,
                "search/val_mAP": None, "search/val_rank1": 0.5, "search/alpha_entropy": 1.9, "search/none_share": 0.25,
                "search/most_skips": 4, "time/epoch_s": 3.0, "weights_norm": 7.0},
               {"epoch": 2, "search/loss_weights": 2, "search/val_mAP": 0.4}]
    assert {title: (unit, curves) for title, unit, curves in training_panels(records)} == {
        "loss of the weights": ("loss", {"total": [(1, 3), (2, 2)], "triplet": [(1, 2.0)]}),
        "loss of the alphas": ("loss", {"total": [(1, 1.5)]}),
        "validation: retrieval": ("share", {"mAP": [(2, 0.4)], "rank1": [(1, 0.5)]}),
        "how undecided the alphas are": ("entropy, nats", {"entropy": [(1, 1.9)]}),
        "rows whose likeliest choice is none": ("share", {"none_share": [(1, 0.25)]}),
        "most skips in one cell": ("number", {"skips": [(1, 4)]})}
    (panel,) = training_panels([{"epoch": 1, "retrain/loss": 1.0, "retrain/loss_cross_entropy": 2.0}])
    assert panel == ("training loss", "loss", {"total": [(1, 1.0)], "cross_entropy": [(1, 2.0)]})


def red(path) -> int:
    """Pixels in the colour of the mark that an axis does not start at 0."""
    with Image.open(path) as image:
        return int((np.abs(np.asarray(image.convert("RGB")).astype(int) - (176, 58, 46)).max(axis=2) <= 2).sum())


def test_an_axis_that_does_not_start_at_0_is_marked(tmp_path):
    for name, first in {"high": 0.6, "low": 0.02}.items():
        draw_cmc({"a": np.linspace(first, 0.9, 20)}, tmp_path / f"{name}.png")
    assert red(tmp_path / "high.png") > 20 and red(tmp_path / "low.png") == 0


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


def test_axes_name_whole_epochs_and_no_share_above_1(tmp_path, monkeypatch):
    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kwargs: (figures.append(self),
                                                                          save(self, *args, **kwargs))[1])
    draw_training([{"epoch": 5, "loss": 1.0, "val_mAP": 1.0, "most_skips": 4}], tmp_path / "training.png")
    draw_cmc({"a": np.linspace(0.97, 1, 20)}, tmp_path / "cmc.png")
    training, cmc = figures
    for axes in training.axes:
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [5]
    assert training.axes[1].get_ylim()[1] > 1  # a line at 1 is seen
    assert all(float(tick).is_integer() for tick in training.axes[2].get_yticks())
    assert max(cmc.axes[0].get_yticks()) == pytest.approx(1)
