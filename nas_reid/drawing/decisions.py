"""The neutral picture of a decision: what its rows and columns are called, and which were chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from nas_reid.drawing.palette import colours_of
from nas_reid.drawing.picture_file import write_picture

_ROWS_PER_COLUMN = 20


@dataclass(frozen=True)
class DrawnDecision:
    """A decision with R rows and K choices, as far as it is drawn.

    Args:
        choices: the K names.
        rows: the R names.
        excluded: columns that no genotype can take, such as that of ``none`` beside ops.
        chosen: the column that each row took, -1 for a row that is not in the genotype; None: not known.
    """

    choices: tuple[str, ...]
    rows: tuple[str, ...]
    excluded: frozenset[int] = frozenset()
    chosen: tuple[int, ...] | None = None


def draw_choices(decisions: Mapping[str, DrawnDecision], path: Path, *, title: str) -> None:
    """Draw every row by name with what it took into a PNG, in columns of 20.

    Args:
        decisions: by name; those whose choice is not known are left out.
        path: the PNG file.
        title: headline.

    Raises:
        ValueError: no row.
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    lines = [(row if len(decisions) == 1 else f"{name} {row}", decision.choices[taken])
             for name, decision in decisions.items() if decision.chosen is not None
             for row, taken in zip(decision.rows, decision.chosen, strict=True) if taken >= 0]
    if not lines:
        raise ValueError("no choice to draw: expected a row that took one")
    colours = colours_of(choice for decision in decisions.values() for choice in decision.choices)
    longest = max(len(row) for row, _ in lines), max(len(choice) for _, choice in lines)
    width, columns = 0.085 * sum(longest) + 0.7, ceil(len(lines) / _ROWS_PER_COLUMN)
    size = max(3.2, width * columns), 0.24 * min(len(lines), _ROWS_PER_COLUMN) + 0.75
    figure = Figure(figsize=size, dpi=130)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(0, size[1]))
    axes.axis("off")
    axes.text(0.15, size[1] - 0.12, f"{title}: {_counted([choice for _, choice in lines])}", fontsize=10, va="top",
              weight="bold")
    for number, (row, choice) in enumerate(lines):
        x, y = 0.15 + width * (number // _ROWS_PER_COLUMN), size[1] - 0.6 - 0.24 * (number % _ROWS_PER_COLUMN)
        axes.text(x, y, row, fontsize=8, va="center", color="#23272e")
        axes.text(x + 0.085 * longest[0] + 0.1, y, choice, fontsize=8, va="center", color="white",
                  bbox={"boxstyle": "round,pad=0.2", "fc": colours[choice], "ec": "none"})
    write_picture(path, lambda file: figure.savefig(file, format="png"))


def _counted(choices: Sequence[str]) -> str:
    return ", ".join(f"{choices.count(name)} {name}" for name in sorted(set(choices)))
