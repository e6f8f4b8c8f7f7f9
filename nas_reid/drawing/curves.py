"""Curves: what was logged per epoch, the cumulative matching characteristic, and the ROC of verification."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_reid.drawing.picture_file import write_picture

# Panel title -> which metric keys belong to it. Anything else (rates, times) is no curve a person looks at.
PANELS = {
    "loss": re.compile(r"loss", re.IGNORECASE),
    "retrieval": re.compile(r"(mAP|mINP|rank\d+)$"),
    "accuracy": re.compile(r"(accuracy|_acc)$"),
    "alphas": re.compile(r"(alpha_entropy|skips|none_share)$"),
}


def draw_training(records: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Draw the logged losses, retrieval metrics and alpha statistics over the epochs into a PNG.

    Args:
        records: as ``nas_reid.record.tracking.read_metrics`` returns them.
        path: the PNG file.

    Returns:
        False when there was nothing to draw, and then no file is written.

    Raises:
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    keys = list(dict.fromkeys(key for record in records for key, value in record.items()
                              if isinstance(value, int | float) and not isinstance(value, bool)))
    panels = {title: [key for key in keys if pattern.search(key)] for title, pattern in PANELS.items()}
    panels = {title: members for title, members in panels.items() if members}
    if not panels:
        return False
    figure = Figure(figsize=(4.4 * len(panels), 3.4), dpi=120, layout="constrained")
    for axes, (title, members) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for key in members:
            points = [(record["epoch"], record[key]) for record in records if record.get(key) is not None]
            axes.plot(*zip(*points, strict=True), marker="o", ms=3, lw=1.6, label=key)
        _finish(axes, title=title, xlabel="epoch", ylabel="")
        if title == "retrieval":
            axes.set_ylim(0, 1)
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
    axes.set_ylim(max(0.0, np.floor(lowest * 10) / 10 - 0.05), 1.02)
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


def _finish(axes: Any, *, title: str, xlabel: str, ylabel: str) -> None:
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.title.set_fontsize(10)
    if axes.get_xscale() == "linear":
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)
