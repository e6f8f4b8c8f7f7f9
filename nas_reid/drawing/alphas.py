"""How the alphas moved: mean probability of each choice over the epochs, and where each row ended."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nas_reid.drawing.decisions import DrawnDecision
from nas_reid.drawing.palette import colours_of
from nas_reid.drawing.picture_file import write_picture

MAX_ROWS = 60
MAX_DECISIONS = 6
BINS = 40
_GREY = "#9aa1ab"


class _Panel(NamedTuple):
    """One column of the picture: probabilities [epochs, R, K] of decisions with the same choices."""

    title: str
    drawn: DrawnDecision
    values: np.ndarray

    def is_table(self) -> bool:
        """Whether there are few enough rows to be shown by name."""
        return self.values.shape[1] <= MAX_ROWS


def draw_alphas(history: Mapping[str, np.ndarray], path: Path, *, decisions: Mapping[str, DrawnDecision],
                epochs: Sequence[int] | None = None) -> None:
    """Draw one column per decision into a PNG.

    Above, lines: the mean over the rows of each choice's probability, and (dashed, on the right axis) the mean entropy
    as a share of log K, which falls from 1 to 0 as the search makes up its mind. Below, the last epoch's probabilities,
    row by row with numbers, in colours from the smallest to the largest of them; a frame is round what the genotype
    took, and what no genotype can take is grey. More than 60 rows (masks) become a density over the epochs: of the
    first choice's probability when K = 2, else of the strongest choice's. Decisions of one row, and more than 6, are
    merged where their choices are the same.

    Args:
        history: decision -> probabilities [epochs, R, K].
        path: the PNG file.
        decisions: what they are called.
        epochs: the epochs' numbers; 0, 1, ... when None.

    Raises:
        ValueError: empty history, or an array that is not [epochs, R, K].
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    panels = _panels(history, decisions)
    heights = [0.23 * panel.values.shape[1] + 0.3 if panel.is_table() else 2.4 for panel in panels]
    widths = [max(3.6, 0.62 * len(panel.drawn.choices) + 0.08 * max(map(len, panel.drawn.rows)) + 0.9)
              for panel in panels]
    figure = Figure(figsize=(sum(widths) + 0.9 * len(panels), 2.4 + max(heights) + 1.6), dpi=120, layout="constrained")
    grid = figure.add_gridspec(2, len(panels), width_ratios=widths, height_ratios=(2.4, max(heights)))
    colours = colours_of(name for panel in panels for name in panel.drawn.choices)
    for column, panel in enumerate(panels):
        numbers = np.arange(len(panel.values)) if epochs is None else np.asarray(epochs)
        _draw_lines(figure.add_subplot(grid[0, column], title=panel.title), numbers, panel, colours)
        below = figure.add_subplot(grid[1, column])
        if panel.is_table():
            _draw_table(below, panel)
        else:
            _draw_density(below, numbers, panel.values, panel.drawn.choices)
    write_picture(path, lambda file: figure.savefig(file, format="png"))


def _panels(history: Mapping[str, np.ndarray], decisions: Mapping[str, DrawnDecision]) -> list[_Panel]:
    if not history:
        raise ValueError("no alphas to draw: the history holds no decision")
    groups: dict[tuple[tuple[str, ...], str | None], list[tuple[str, np.ndarray]]] = {}
    for name, values in history.items():
        array, drawn = np.asarray(values, dtype=float), decisions[name]
        if array.ndim != 3 or array.shape[2] != len(drawn.choices) or 0 in array.shape:
            raise ValueError(f"history of {name!r} has shape {list(array.shape)}; "
                             f"expected [epochs, rows, {len(drawn.choices)}] with at least one epoch and row")
        merged = len(history) > MAX_DECISIONS or array.shape[1] == 1
        groups.setdefault((drawn.choices, None if merged else name), []).append((name, array))
    return [_panel([name for name, _ in members], np.concatenate([array for _, array in members], axis=1), decisions)
            for members in groups.values()]


def _panel(names: Sequence[str], values: np.ndarray, decisions: Mapping[str, DrawnDecision]) -> _Panel:
    first, several = decisions[names[0]], len(names) > 1
    rows = [name if len(decisions[name].rows) == 1 else f"{name} {row}" if several else row
            for name in names for row in decisions[name].rows]
    chosen = [column for name in names for column in decisions[name].chosen or [-1] * len(decisions[name].rows)]
    known = any(decisions[name].chosen is not None for name in names)
    title = f"{len(names)} decisions" if several else names[0]
    return _Panel(f"{title} ({len(rows)} × {len(first.choices)})",
                  DrawnDecision(first.choices, tuple(rows), first.excluded, tuple(chosen) if known else None), values)


def _draw_lines(axes: Any, epochs: np.ndarray, panel: _Panel, colours: Mapping[str, str]) -> None:
    marker, means = "o" if len(epochs) == 1 else None, panel.values.mean(axis=1)
    for column, name in enumerate(panel.drawn.choices):
        excluded = column in panel.drawn.excluded
        axes.plot(epochs, means[:, column], color=_GREY if excluded else colours[name], lw=1.8, marker=marker,
                  ls=":" if excluded else "-", label=f"{name} (never taken)" if excluded else name)
    entropy = -(panel.values * np.log(np.maximum(panel.values, 1e-30))).sum(axis=2).mean(axis=1)
    right = axes.twinx()
    right.plot(epochs, entropy / math.log(max(means.shape[1], 2)), color="#444b55", lw=1.2, ls="--", marker=marker,
               label="entropy / log K (right)")
    right.set(ylim=(0, 1.02))
    right.tick_params(labelsize=7, colors="#444b55")
    least, most = float(means.min()), float(means.max())
    margin = max(0.08 * (most - least), 0.005)
    axes.set(xlabel="epoch", ylabel="mean probability over rows", ylim=(max(0, least - margin), most + margin),
             xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
    axes.xaxis.get_major_locator().set_params(integer=True)
    for side in (axes, right):
        side.spines["top"].set_visible(False)
    handles = [line for side in (axes, right) for line in side.get_lines()]
    axes.legend(handles=handles, fontsize=7, ncols=2, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def _draw_table(axes: Any, panel: _Panel) -> None:
    from matplotlib.patches import Rectangle

    final, drawn = panel.values[-1], panel.drawn
    open_columns = [column for column in range(len(drawn.choices)) if column not in drawn.excluded]
    shown = np.ma.array(final, mask=np.zeros(final.shape, bool))
    shown[:, sorted(drawn.excluded)] = np.ma.masked
    least, most = float(final[:, open_columns].min()), float(final[:, open_columns].max())
    axes.set_facecolor("#e9ebee")
    axes.imshow(shown, cmap="Blues", vmin=least, vmax=max(most, least + 1e-6), aspect="auto")
    digits = 2 if most - least >= 0.1 else 3
    for (row, column), value in np.ndenumerate(final):
        strong = column not in drawn.excluded and value - least > 0.6 * (most - least)
        axes.text(column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=7,
                  color=_GREY if column in drawn.excluded else "white" if strong else "#222222")
    for row, taken in enumerate(drawn.chosen or ()):
        if taken >= 0:
            axes.add_patch(Rectangle((taken - 0.5, row - 0.5), 1, 1, fill=False, ec="#d6604d", lw=1.8, zorder=3))
    names = [f"{name} (never taken)" if column in drawn.excluded else name
             for column, name in enumerate(drawn.choices)]
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(drawn.rows)), drawn.rows)
    axes.tick_params(length=0, labelsize=7)
    for row, label in enumerate(axes.get_yticklabels()):
        if drawn.chosen is not None and drawn.chosen[row] < 0:
            label.set_color(_GREY)
    framed = "" if drawn.chosen is None else ", framed: in the genotype"
    axes.set_title(f"last epoch, colours from {least:.{digits}f} to {most:.{digits}f}{framed}", fontsize=8)


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
