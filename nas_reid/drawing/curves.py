"""Curves: what was logged per epoch, the cumulative matching characteristic, and the ROC of verification."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nas_reid.drawing.picture_file import write_picture

# Which records are a curve that a person looks at (not rates and times): pattern of the key without its prefix, title
# of the panel, unit of its axis. What the pattern's group holds is the curve's name. Unlike quantities have own panels.
_PANELS = (
    (r"loss(?:_(?!weights|alphas)(.+))?", "training loss", "loss"),
    (r"loss_weights(?:_(.+))?", "loss of the weights", "loss"),
    (r"loss_alphas(?:_(.+))?", "loss of the alphas", "loss"),
    (r"val_(mAP|mINP|rank\d+)", "validation: retrieval", "share"),
    (r"val_(top\d+_accuracy)", "validation: classification", "share"),
    (r"alpha_(entropy)", "how undecided the alphas are", "entropy, nats"),
    (r"(none_share)", "rows whose likeliest choice is none", "share"),
    (r"most_(skips)", "most skips in one cell", "number"),
)


class Panel(NamedTuple):
    """Curves that belong on one pair of axes.

    Attributes:
        title: what is shown.
        unit: of the vertical axis; of a ``share`` it goes from 0 to 1, of a ``number`` it is whole.
        curves: name -> (epoch, value) in the order of the epochs.
    """

    title: str
    unit: str
    curves: Mapping[str, Sequence[tuple[float, float]]]


def training_panels(records: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """The panels of a training, from what was logged per epoch; those with nothing to show are left out.

    Args:
        records: as ``nas_reid.record.tracking.read_metrics`` returns them.
    """
    keys = list(dict.fromkeys(key for record in records for key, value in record.items()
                              if isinstance(value, int | float) and not isinstance(value, bool)))
    panels = [Panel(title, unit, dict(_curves(records, keys, pattern))) for pattern, title, unit in _PANELS]
    return [panel for panel in panels if panel.curves]


def _curves(records: Sequence[Mapping[str, Any]], keys: Sequence[str],
            pattern: str) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    for key in keys:
        if found := re.fullmatch(pattern, key.rpartition("/")[2]):
            yield found[1] or "total", [(record["epoch"], record[key]) for record in records
                                        if record.get(key) is not None]


def draw_training(records: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Draw the panels of a training over the epochs into a PNG, three in a row.

    Args:
        records: as ``nas_reid.record.tracking.read_metrics`` returns them.
        path: the PNG file.

    Returns:
        False when there was nothing to draw, and then no file is written.

    Raises:
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    panels = training_panels(records)
    if not panels:
        return False
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.4 * columns, 3.2 * rows), dpi=120, layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, panel in zip(grid, panels, strict=False):
        for name, points in panel.curves.items():
            axes.plot(*zip(*points, strict=True), marker="o", ms=3, lw=1.6, label=name)
        _finish(axes, title=panel.title, xlabel="epoch", ylabel=panel.unit)
        epochs = [epoch for points in panel.curves.values() for epoch, _ in points]
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)  # of a single one there are no round numbers
        if panel.unit == "share":
            axes.set_ylim(0, 1.02)
        if panel.unit == "number":
            axes.yaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    for axes in grid[len(panels):]:
        axes.axis("off")
    write_picture(path, lambda file: figure.savefig(file, format="png"))
    return True


def draw_cmc(curves: Mapping[str, np.ndarray], path: Path, *, max_rank: int = 20) -> None:
    """Draw the share of queries whose first match is at rank r or better, for r up to ``max_rank``, into a PNG.

    Args:
        curves: legend -> CMC [ranks], fractions, rank 1 first.
        path: the PNG file.
        max_rank: last rank shown.

    Raises:
        ValueError: no curve.
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    if not curves:
        raise ValueError("no CMC curve to draw")
    figure = Figure(figsize=(4.8, 3.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    lowest = 1.0
    for legend, curve in curves.items():
        shown = np.asarray(curve, dtype=float)[:max_rank]
        axes.plot(np.arange(1, len(shown) + 1), shown, marker="o", ms=3, lw=1.6,
                  label=f"{legend} (rank-1 {shown[0]:.1%})")
        lowest = min(lowest, float(shown.min()))
    _finish(axes, title="cumulative matching characteristic", xlabel="rank", ylabel="share of queries")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    bottom = max(0.0, np.floor(lowest * 10) / 10 - 0.05)
    axes.set_ylim(bottom, 1.02)
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick <= 1.001])
    if bottom > 0:
        _mark_break(axes, bottom)
    write_picture(path, lambda file: figure.savefig(file, format="png"))


def draw_roc(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Draw the accepted share of genuine pairs over that of impostor pairs, on a logarithmic axis, into a PNG.

    Args:
        curves: legend -> FPR and TPR [T], fractions, ascending.
        path: the PNG file.

    Raises:
        ValueError: no curve.
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    if not curves:
        raise ValueError("no ROC curve to draw")
    figure = Figure(figsize=(4.8, 3.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    smallest = min((float(fpr[fpr > 0].min()) for fpr, _ in curves.values() if (fpr > 0).any()), default=1e-4)
    lowest = 10.0 ** np.floor(np.log10(max(smallest, 1e-6)))
    for legend, (fpr, tpr) in curves.items():
        # Nothing is accepted before the first threshold, whose TPR holds until the next one; what lies left of the axis
        # starts at its border.
        axes.step(np.concatenate([[lowest], np.maximum(fpr, lowest), [1]]), np.concatenate([[0], tpr, tpr[-1:]]),
                  where="post", lw=1.6, label=legend)
    chance = np.geomspace(lowest, 1, 100)
    axes.plot(chance, chance, color="#9aa1ab", lw=1, ls="--", label="chance")
    _finish(axes, title="verification: receiver operating characteristic", xlabel="false accepts (FPR)",
            ylabel="true accepts (TPR)")
    axes.set(xlim=(lowest, 1), ylim=(0, 1.02))
    write_picture(path, lambda file: figure.savefig(file, format="png"))


def _mark_break(axes: Any, bottom: float) -> None:
    """Say that the vertical axis does not start at 0, in words and with two strokes through its foot."""
    for height in (0.02, 0.045):
        axes.plot((-0.018, 0.018), (height - 0.012, height + 0.012), transform=axes.transAxes, color="#b03a2e", lw=1.6,
                  clip_on=False, zorder=5)
    axes.text(0.035, 0.02, f"the axis starts at {bottom:.0%}, not at 0", transform=axes.transAxes, fontsize=7,
              color="#b03a2e")


def _finish(axes: Any, *, title: str, xlabel: str, ylabel: str) -> None:
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.title.set_fontsize(10)
    if axes.get_xscale() == "linear":
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)
