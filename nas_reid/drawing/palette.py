"""One colour per op, the same in every picture of a run."""

from collections.abc import Iterable

_COLOURS = ("#1f77b4", "#d6604d", "#3a923a", "#9467bd", "#b8860b", "#17a2b8", "#c2408c", "#6b4f3a",
            "#2f4b7c", "#7f9c00")


def colours_of(labels: Iterable[str]) -> dict[str, str]:
    """Label -> colour, in the given order; the colours repeat after ten."""
    return {label: _COLOURS[i % len(_COLOURS)] for i, label in enumerate(dict.fromkeys(labels))}
