"""Worth against cost: every candidate, and the front that no candidate beats."""

from collections.abc import Sequence
from pathlib import Path

from nas_reid.drawing.picture_file import write_picture


def draw_front(worth: Sequence[float], cost: Sequence[float], front: Sequence[int], path: Path, *, xlabel: str,
               ylabel: str) -> None:
    """Draw candidates as dots and the front as a line into a PNG.

    Args:
        worth: of each candidate, in [0, 1]; shown in %.
        cost: of each candidate.
        front: indices of those that no other beats, by increasing cost.
        path: the PNG file.
        xlabel, ylabel: of the axes.

    Raises:
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.8), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.scatter(cost, [100 * value for value in worth], s=14, color="#9aa5b1", label="candidates", linewidths=0)
    axes.plot([cost[index] for index in front], [100 * worth[index] for index in front], "o-", color="#1f6f8b", ms=5,
              lw=1.6, label="not beaten by any")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    write_picture(path, lambda file: figure.savefig(file, format="png"))
