"""What a genotype of NFS keeps: masks over channels and pixels per cell and modality, and how JSON spells them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_reid.backbones.modality import MODALITIES
from nas_reid.errors import GenotypeError

_RUN = re.compile(r"(\d+)(?:-(\d+))?")
_KEPT, _DROPPED = "#", "."


@dataclass(frozen=True)
class CellMasks:
    """The masks of one cell; None where a level is not searched, which keeps everything.

    Args:
        channels: bool [2, C], rows by modality.
        pixels: bool [2, H, W].
    """

    channels: np.ndarray | None
    pixels: np.ndarray | None

    def is_open(self) -> bool:
        """Whether nothing is dropped."""
        return all(mask is None or bool(mask.all()) for mask in (self.channels, self.pixels))

    def to_body(self) -> dict[str, dict[str, Any]]:
        """JSON types: channels as runs ("0-12 14"), pixels as one string per row ("..##..")."""
        body: dict[str, dict[str, Any]] = {}
        if self.channels is not None:
            body["channels"] = {name: _runs(row) for name, row in zip(MODALITIES, self.channels, strict=True)}
        if self.pixels is not None:
            body["pixels"] = {name: ["".join(_KEPT if kept else _DROPPED for kept in line) for line in row]
                              for name, row in zip(MODALITIES, self.pixels, strict=True)}
        return body


def read_masks(body: Mapping[str, Any], widths: Mapping[str, int], *, shared: Sequence[str]) -> dict[str, CellMasks]:
    """The masks of a genotype's body, cell -> masks; a cell that the body leaves out keeps everything and is left out.

    Args:
        body: of the genotype.
        widths: cell -> its channels, C.
        shared: cells whose channel mask must be the same for both modalities.

    Raises:
        GenotypeError: an unknown cell, level or modality, a channel that does not exist, ragged rows, a mask that
            keeps nothing, or unequal channel masks in a cell of ``shared``.
    """
    unknown = sorted(set(body) - set(widths))
    if unknown:
        raise GenotypeError(f"genotype has masks for {unknown}; this network's cells are: {', '.join(widths)}. Was it "
                            "searched with another depth, position or number of specific parts?")
    masks = {}
    for cell, levels in body.items():
        _check_keys(levels, ("channels", "pixels"), f"cell {cell}", required=False)
        channels = _read(levels, "channels", cell, lambda runs, cell=cell: _from_runs(runs, widths[cell], cell))
        pixels = _read(levels, "pixels", cell, lambda rows, cell=cell: _from_rows(rows, cell))
        if cell in shared and channels is not None and (channels[0] != channels[1]).any():
            raise GenotypeError(f"cell {cell}: visible and infrared keep different channels, which they share in "
                                "the last stage, whose embeddings could else not be compared, and with "
                                "shared_channels=all in every cell; give both the same mask")
        masks[cell] = CellMasks(channels, pixels)
    return masks


def _read(levels: Mapping[str, Any], level: str, cell: str, parse: Any) -> np.ndarray | None:
    if level not in levels:
        return None
    _check_keys(levels[level], MODALITIES, f"cell {cell}, {level}", required=True)
    rows = [parse(levels[level][name]) for name in MODALITIES]
    if rows[0].shape != rows[1].shape:
        raise GenotypeError(f"cell {cell}: masks of {rows[0].shape} and {rows[1].shape} {level}; expected one size")
    for name, row in zip(MODALITIES, rows, strict=True):
        if not row.any():
            raise GenotypeError(f"cell {cell} keeps none of its {row.size} {level} for {name} images, which would "
                                "empty the stage; keep at least one")
    return np.stack(rows)


def _check_keys(given: Any, known: Sequence[str], where: str, *, required: bool) -> None:
    wrong = not isinstance(given, Mapping) or not set(given) <= set(known) or (required and set(given) != set(known))
    if wrong:
        found = sorted(given) if isinstance(given, Mapping) else given
        raise GenotypeError(f"{where} has {found!r}; expected {', '.join(known)}")


def _runs(kept: np.ndarray) -> str:
    """Indices of the kept channels as runs: "0-12 14 16-63"."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], kept.astype(np.int8), [0]])))
    return " ".join(str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in edges.reshape(-1, 2).tolist())


def _from_runs(runs: Any, channels: int, cell: str) -> np.ndarray:
    kept = np.zeros(channels, bool)
    for run in runs.split() if isinstance(runs, str) else [repr(runs)]:
        match = _RUN.fullmatch(run)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < channels:
            raise GenotypeError(f"cell {cell}: {run!r} is no run of channels below {channels}; expected text such as "
                                '"0-12 14" (was it searched with another width?)')
        kept[first:last + 1] = True
    return kept


def _from_rows(rows: Any, cell: str) -> np.ndarray:
    sound = (isinstance(rows, list) and rows and all(isinstance(row, str) and row for row in rows)
             and len({len(row) for row in rows}) == 1 and set("".join(rows)) <= {_KEPT, _DROPPED})
    if not sound:
        raise GenotypeError(f"cell {cell}: pixels must be rows of equal length of {_KEPT!r} (kept) and {_DROPPED!r}")
    return np.array([[pixel == _KEPT for pixel in row] for row in rows])
