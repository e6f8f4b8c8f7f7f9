"""The probabilities of a search over its epochs, from the genotypes that it left."""

from pathlib import Path
from typing import Any

from nas_reid.errors import NasReidError
from nas_reid.genotype import Genotype
from nas_reid.record.decisions import drawn_decisions
from nas_reid.registry import space_of

MOST_EPOCHS = 60
MOST_ROWS = 60
"""Decisions with more rows (masks) are left out: nobody reads so many lines."""


def alpha_history(folder: Path) -> dict[str, Any] | None:
    """Epochs, and of every decision names and values [epochs, R, K]; None of a run that left none.

    Args:
        folder: of a search. Of more than 60 epochs some are taken, evenly, the last included.
    """
    paths = sorted((folder / "genotypes").glob("epoch_*.json"))
    count = min(len(paths), MOST_EPOCHS)
    paths = [paths[round(number * (len(paths) - 1) / max(1, count - 1))] for number in range(count)]
    try:
        genotypes = [Genotype.load(path) for path in paths]
        space = space_of(genotypes[-1]) if genotypes else None
        if space is None or not genotypes[-1].probabilities:
            return None
        drawn = [drawn_decisions(space, genotype) for genotype in genotypes]
    except NasReidError:
        return None
    decisions = {name: {"choices": last.choices, "rows": last.rows, "excluded": sorted(last.excluded),
                        "values": [[[round(p, 3) for p in row] for row in genotype.probabilities[name]]
                                   for genotype in genotypes],
                        "chosen": None if last.chosen is None else [each[name].chosen for each in drawn]}
                 for name, last in drawn[-1].items() if len(last.rows) <= MOST_ROWS
                 and all(name in genotype.probabilities for genotype in genotypes)}
    return {"epochs": [int(path.stem.rpartition("_")[2]) for path in paths], "decisions": decisions} \
        if decisions else None


def choices_of(path: str) -> dict[str, str] | None:
    """Row -> what a genotype took there; None where file or space cannot be read, or nobody would read so many rows.

    Args:
        path: of a genotype file.
    """
    try:
        genotype = Genotype.load(Path(path))
        drawn = drawn_decisions(space_of(genotype), genotype)
    except NasReidError:
        return None
    if sum(len(decision.rows) for decision in drawn.values()) > 2 * MOST_ROWS:
        return None
    return {f"{name}: {row}": decision.choices[taken] if taken >= 0 else "–" for name, decision in drawn.items()
            for row, taken in zip(decision.rows, decision.chosen or (), strict=True)} or None
