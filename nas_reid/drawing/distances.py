"""How far apart two images of one person are, and two of different people; and where a threshold parts them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nas_reid.drawing.picture_file import write_picture

_GENUINE, _IMPOSTOR, _LINE = "#3a923a", "#d6604d", "#23272e"
_BARS = 80  # most bars shown


class Accepted(NamedTuple):
    """A threshold, what it accepts of (genuine, impostor) pairs, and what it was expected to accept.

    Attributes:
        threshold: distance up to which pairs are accepted.
        interval: of the threshold.
        expected: shares of the genuine and of the impostor pairs, of held-out people.
        expected_interval: of the latter.
        observed: the same shares of the pairs that are drawn.
    """

    threshold: float
    interval: tuple[float, float]
    expected: tuple[float, float]
    expected_interval: tuple[float, float]
    observed: tuple[float, float]


def draw_distances(path: Path, *, edges: np.ndarray, genuine: np.ndarray, impostor: np.ndarray, distance: str,
                   accepted: Accepted | None = None) -> None:
    """Draw the shares of genuine and of impostor pairs by distance into a PNG; the heights of each add up to 1.

    Args:
        path: the PNG file.
        edges: [B + 1], ascending.
        genuine, impostor: [B], numbers of pairs.
        distance: its name.
        accepted: the threshold, drawn as a line with its interval; None without one.

    Raises:
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    edges, genuine, impostor = _shown(edges, genuine, impostor, accepted)
    figure = Figure(figsize=(6.8, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    for side, (counts, colour, what) in enumerate(((genuine, _GENUINE, "same person"),
                                                   (impostor, _IMPOSTOR, "different people"))):
        label = f"{what}: {counts.sum():,} pairs"
        if accepted is not None:
            label += f", {accepted.observed[side]:.2%} accepted; on held-out people {accepted.expected[side]:.2%}"
            label += " [{:.2%}, {:.2%}]".format(*accepted.expected_interval) if side else ""
        axes.stairs(counts / max(1, counts.sum()), edges, fill=True, color=colour, alpha=0.45, label=label)
        axes.stairs(counts / max(1, counts.sum()), edges, color=colour, lw=1)
    if accepted is not None:
        axes.axvspan(*accepted.interval, color=_LINE, alpha=0.15, lw=0)
        axes.axvline(accepted.threshold, color=_LINE, lw=1.4, ls="--",
                     label="threshold {:.4g} [{:.4g}, {:.4g}]".format(accepted.threshold, *accepted.interval))
    axes.set(xlabel=f"{distance} distance", ylabel="share of the pairs", xlim=(edges[0], edges[-1]))
    axes.set_title("distances between two images" + ("" if accepted else "; the checkpoint has no threshold for them"),
                   fontsize=10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(fontsize=7.5, frameon=False, loc="outside lower left")
    write_picture(path, lambda file: figure.savefig(file, format="png"))


def _shown(edges: np.ndarray, genuine: np.ndarray, impostor: np.ndarray,
           accepted: Accepted | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The part that holds pairs or the threshold, in ``_BARS`` bars or fewer."""
    held = np.flatnonzero(genuine + impostor)
    first, last = (held[0], held[-1] + 1) if len(held) else (0, len(genuine))
    if accepted is not None:
        inside = np.searchsorted(edges, [accepted.interval[0], accepted.interval[1]])
        first, last = max(0, min(first, inside[0] - 1)), min(len(genuine), max(last, inside[1] + 1))
    step = -(-(last - first) // _BARS)
    starts = np.arange(first, last, step)
    genuine, impostor = (np.add.reduceat(counts[:last], starts) for counts in (genuine, impostor))
    return np.append(edges[starts], edges[last]), genuine, impostor
