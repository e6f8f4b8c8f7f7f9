"""How the alphas moved: mean probability of each choice over the epochs, and where each row ended."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_reid.drawing.palette import colours_of
from nas_reid.drawing.picture_file import write_picture

MAX_ROWS = 40
MAX_DECISIONS = 6
BINS = 40


def draw_alphas(
    history: Mapping[str, np.ndarray], path: Path, *, choices: Mapping[str, Sequence[str]],
    epochs: Sequence[int] | None = None,
) -> None:
    """Draw one column per decision into a PNG.

    Above, lines: the mean over the rows of each choice's probability, and (dashed) the mean entropy as a share of
    log K, which falls from 1 to 0 as the search makes up its mind. Below, the last epoch's probabilities, row by
    row with numbers. More than 40 rows (masks) become a density over the epochs: of the first choice's probability
    when K = 2, else of the strongest choice's. More than 6 decisions are merged where their choices are the same.

    Args:
        history: decision -> probabilities [epochs, R, K].
        path: the PNG file.
        choices: decision -> the K names.
        epochs: the epochs' numbers; 0, 1, ... when None.

    Raises:
        ValueError: empty history, or an array that is not [epochs, R, len(choices)].
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    panels = _panels(history, choices)
    heights = [0.23 * p.shape[1] + 0.3 if p.shape[1] <= MAX_ROWS else 2.4 for _, _, p in panels]
    widths = [max(3.6, 0.62 * len(names) + 0.9) for _, names, _ in panels]
    figure = Figure(figsize=(sum(widths) + 0.9 * len(panels), 2.4 + max(heights) + 1.5), dpi=120, layout="constrained")
    grid = figure.add_gridspec(2, len(panels), width_ratios=widths, height_ratios=(2.4, max(heights)))
    colours = colours_of(name for _, names, _ in panels for name in names)
    for column, (title, names, values) in enumerate(panels):
        numbers = np.arange(len(values)) if epochs is None else np.asarray(epochs)
        lines = figure.add_subplot(grid[0, column], title=title)
        _draw_lines(lines, numbers, values, names, colours)
        below = figure.add_subplot(grid[1, column])
        if values.shape[1] <= MAX_ROWS:
            _draw_table(below, values[-1], names)
        else:
            _draw_density(below, numbers, values, names)
    write_picture(path, lambda file: figure.savefig(file, format="png"))


def _panels(
    history: Mapping[str, np.ndarray], choices: Mapping[str, Sequence[str]],
) -> list[tuple[str, tuple[str, ...], np.ndarray]]:
    """(title, choice names, probabilities) of each column of the picture."""
    if not history:
        raise ValueError("no alphas to draw: the history holds no decision")
    groups: dict[tuple[tuple[str, ...], str | None], list[tuple[str, np.ndarray]]] = {}
    for decision, values in history.items():
        array, names = np.asarray(values, dtype=float), tuple(choices[decision])
        if array.ndim != 3 or array.shape[2] != len(names) or 0 in array.shape:
            raise ValueError(f"history of {decision!r} has shape {list(array.shape)}; "
                             f"expected [epochs, rows, {len(names)}] with at least one epoch and row")
        groups.setdefault((names, None if len(history) > MAX_DECISIONS else decision), []).append((decision, array))
    panels = []
    for (names, _), members in groups.items():
        values = np.concatenate([array for _, array in members], axis=1)
        what = members[0][0] if len(members) == 1 else f"{len(members)} decisions"
        panels.append((f"{what} ({values.shape[1]} × {len(names)})", names, values))
    return panels


def _draw_lines(axes: Any, epochs: np.ndarray, values: np.ndarray, names: Sequence[str],
                colours: Mapping[str, str]) -> None:
    marker = "o" if len(epochs) == 1 else None
    for name, mean in zip(names, values.mean(axis=1).T, strict=True):
        axes.plot(epochs, mean, color=colours[name], lw=1.8, marker=marker, label=name)
    entropy = -(values * np.log(np.maximum(values, 1e-30))).sum(axis=2).mean(axis=1) / math.log(max(len(names), 2))
    axes.plot(epochs, entropy, color="#444b55", lw=1.2, ls="--", marker=marker, label="entropy / log K")
    axes.set(xlabel="epoch", ylabel="mean over rows", ylim=(0, 1.02), xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, ncols=2, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def _draw_table(axes: Any, final: np.ndarray, names: Sequence[str]) -> None:
    axes.imshow(final, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    winners = final.argmax(axis=1)
    for (row, column), value in np.ndenumerate(final):
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7,
                  color="white" if value > 0.55 else "#222222", weight="bold" if column == winners[row] else "normal")
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(final)))
    axes.tick_params(length=0, labelsize=8)
    axes.set(ylabel="row", title="last epoch")
    axes.title.set_fontsize(9)


def _draw_density(axes: Any, epochs: np.ndarray, values: np.ndarray, names: Sequence[str]) -> None:
    what, shown = (f"p({names[0]})", values[..., 0]) if len(names) == 2 else ("p(strongest choice)", values.max(axis=2))
    edges = np.linspace(0, 1, BINS + 1)
    share = np.stack([np.histogram(row, bins=edges)[0] / shown.shape[1] for row in shown], axis=1)
    extent = (epochs[0] - 0.5, epochs[-1] + 0.5, 0, 1)
    # Square root and a maximum of its own per epoch: the spike of the first epochs would drown all that follows.
    axes.imshow(np.sqrt(share / share.max(axis=0)), origin="lower", cmap="Blues", aspect="auto", extent=extent)
    axes.plot(epochs, (shown > 0.5).mean(axis=1), color="#d6604d", lw=1.5, marker="o" if len(epochs) == 1 else None,
              label="share of rows above 0.5")
    axes.set(xlabel="epoch", ylabel=what, title="density of the rows")
    axes.title.set_fontsize(9)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2))
