"""What the cells of a table mean: identities, cameras, boxes, splits."""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nas_reid.data.sample import Box
from nas_reid.data.table.columns import Table
from nas_reid.errors import DataError

_Value = TypeVar("_Value")
UNKNOWN = ("", "unknown", "nan", "none", "null")
"""Cells that say nothing. An image of nobody knows whom is left out: it may show one of the others."""
SPLITS = {"train": "train", "training": "train", "query": "query", "gallery": "gallery",
          "validation": "validation", "valid": "validation", "val": "validation", "test": "test", "testing": "test"}
MODALITIES = {"0": 0, "visible": 0, "rgb": 0, "1": 1, "infrared": 1, "ir": 1, "nir": 1, "thermal": 1}
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
_TRUTH = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}


def parsed(table: Table, column: str, parse: Callable[[str], _Value], expected: str) -> list[_Value]:
    """The N cells of a column, each different one parsed once.

    Args:
        table: has the column.
        column: of ``COLUMNS``.
        parse: cell -> value; raises ValueError for what is none.
        expected: what a value is, with an example, for the message.

    Raises:
        DataError: some cells are no values; the message names lines and cells.
    """
    known: dict[str, Any] = {}
    wrong = set()
    for cell in set(table.cells[column]):
        try:
            known[cell] = parse(cell)
        except ValueError:
            wrong.add(cell)
    if wrong:
        rows = [row for row, cell in enumerate(table.cells[column]) if cell in wrong]
        raise DataError(f"{table.file}: {len(rows):,} rows have no {column} ({table.rows_where(rows, column)}); "
                        f"expected {expected}. Correct these rows, or remove them")
    return [known[cell] for cell in table.cells[column]]


def identities(table: Table) -> tuple[list[int], dict[int, str]]:
    """Number of every row's identity, -1 where it is unknown, and the name of each number.

    A column ``pid`` of whole numbers is taken as it is, as the public data sets number people: from 1, with 0 for a
    distractor and -1 for junk. Other whole numbers stay too if they begin at 1 or later; if they begin at 0 they are
    raised by one, for 0 is a person there. Anything else is numbered from 1, in the order of the alphabet.

    Raises:
        DataError: every identity is unknown.
    """
    cells = table.cells["pid"]
    names = sorted({cell for cell in cells if cell.lower() not in UNKNOWN})
    if not names:
        raise DataError(f"{table.file}: the column {table.named['pid']} names no identity in any of its "
                        f"{len(cells):,} rows")
    try:
        number = {name: whole(name) for name in names}
        counted = len(set(number.values())) == len(names) or table.named["pid"].lower() == "pid"
    except ValueError:
        counted = False
    if not counted:
        number = {name: place for place, name in enumerate(names, start=1)}
    elif table.named["pid"].lower() != "pid" and min(number.values()) <= 0:
        shift = 1 - min(number.values())
        number = {name: value + shift for name, value in number.items()}
    pids = [number.get(cell, -1) for cell in cells]
    return pids, {value: name for name, value in number.items()}


@dataclass(frozen=True)
class Cameras:
    """The cameras of a table.

    Attributes:
        camids: of every row, counted from 0.
        first: the number that camera 0 has in the table.
        names: number -> name; empty where the table has numbers.
    """

    camids: list[int]
    first: int
    names: dict[int, str]


def cameras(table: Table) -> Cameras | None:
    """Which camera took every row's image; None where the table names none.

    Whole numbers keep their order and distances; names are numbered from 1 in the order of the alphabet. -1 is an
    unknown camera, as -1 is nobody.

    Raises:
        DataError: some rows name a camera and others do not; a number below -1.
    """
    if "camid" not in table:
        return None
    cells = table.cells["camid"]
    empty = [row for row, cell in enumerate(cells) if cell.lower() in (*UNKNOWN, "-1", "-1.0")]
    if len(empty) == len(cells):
        return None
    if empty:
        raise DataError(f"{table.file}: {len(empty):,} of {len(cells):,} rows name no camera "
                        f"({table.rows_where(empty, 'camid')}); name one in every row, or pass over the column with "
                        f"'data.options.ignore=[{table.named['camid']}]'")
    names = sorted(set(cells))
    called: dict[int, str] = {}
    try:
        number = {name: whole(name) for name in names}
    except ValueError:
        number = {name: place for place, name in enumerate(names, start=1)}
        called = dict(enumerate(names, start=1))
    if below := [row for row, cell in enumerate(cells) if number[cell] < 0]:
        raise DataError(f"{table.file}: {len(below):,} rows have no camera ({table.rows_where(below, 'camid')}); "
                        "expected a number from 0, or a name")
    first = min(1, *number.values())
    return Cameras([number[cell] - first for cell in cells], first, called)


def nearly_alike(table: Table) -> list[tuple[str, str]]:
    """Pairs of identities whose names differ only in case, inner blanks, or how Unicode spells an accent."""
    known: dict[str, str] = {}
    pairs = []
    for name in sorted(set(table.cells["pid"])):
        plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if known.setdefault(plain, name) != name:
            pairs.append((known[plain], name))
    return pairs


def sequences(table: Table) -> list[int]:
    """Number of every row's sequence, -1 for none."""
    if "sequence" not in table:
        return [-1] * len(table)
    names = sorted({cell for cell in table.cells["sequence"] if cell.lower() not in UNKNOWN})
    number = {name: place for place, name in enumerate(names)}
    return [number.get(cell, -1) for cell in table.cells["sequence"]]


def boxes(table: Table) -> list[Box]:
    """Box of every row, empty for the whole picture; corners are rounded to whole pixels.

    Raises:
        DataError: a box that is incomplete or has no area, or all of them are in parts of the picture.
    """
    if "bbox" in table:
        given = parsed(table, "bbox", _corners_of, "left, upper edge, width and height, such as [10, 20, 64, 128]")
    elif "x_1" in table:
        corners = [parsed(table, name, _pixel, "a number of pixels, such as 12")
                   for name in ("x_1", "y_1", "x_2", "y_2")]
        given = list(zip(*corners, strict=True))
    else:
        return [()] * len(table)
    _require_pixels(table, given)
    found = [tuple(None if edge is None else round(edge) for edge in corners) for corners in given]
    boxes: list[Box] = []
    wrong = []
    for row, (left, top, right, bottom) in enumerate(found):
        if left is None and top is None and right is None and bottom is None:
            boxes.append(())
        elif left is None or top is None or right is None or bottom is None or left >= right or top >= bottom:
            wrong.append(row)
        else:
            boxes.append((left, top, right, bottom))
    if wrong:
        shown = "; ".join(f"line {table.lines[row]}: {found[row]}" for row in wrong[:3])
        raise DataError(f"{table.file}: {len(wrong):,} are no boxes ({shown}{'; ...' if len(wrong) > 3 else ''}): "
                        "expected left < right and upper < lower edge (x_1 < x_2, y_1 < y_2), all four or none. "
                        "Correct these rows, or remove them")
    return boxes


def flags(table: Table, column: str) -> list[bool | None]:
    """The N truth values of a column, None where a cell is empty."""
    return parsed(table, column, lambda cell: None if cell.lower() in UNKNOWN else _of(_TRUTH, cell),
                  "true, false or nothing")


def splits(table: Table) -> list[str]:
    """The N values of the column split: train, query, gallery, validation or test."""
    return parsed(table, "split", lambda cell: _of(SPLITS, cell), "train, query, gallery, validation or test")


def modalities(table: Table) -> list[int]:
    """0 (visible) or 1 (infrared) of every row; 0 where the table does not say."""
    if "modality" not in table:
        return [0] * len(table)
    return parsed(table, "modality", lambda cell: _of(MODALITIES, cell), f"one of {', '.join(MODALITIES)}")


def whole(cell: str) -> int:
    """A whole number, also one that was written as ``12.0``; never ``1_2`` or ``1e2``, which are names.

    Raises:
        ValueError: it is none.
    """
    if not _WHOLE.fullmatch(cell):
        raise ValueError(cell)
    return int(cell.partition(".")[0])


def _require_pixels(table: Table, corners: Sequence[Sequence[float | None]]) -> None:
    """Check that the edges are not parts of a picture, which rounding would make boxes of one pixel."""
    edges = {edge for box in corners for edge in box if edge is not None}
    if edges and max(map(abs, edges)) <= 1:
        row = next(row for row, box in enumerate(corners) if set(box) != {None})
        raise DataError(f"{table.file}: no edge of a box lies beyond 1, such as in line {table.lines[row]}: "
                        f"{tuple(corners[row])}. Edges are numbers of pixels: multiply parts of a picture by its width "
                        "and height")


def _pixel(cell: str) -> float | None:
    if cell.lower() in UNKNOWN:
        return None
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(cell)
    return number


def _corners_of(cell: str) -> tuple[float | None, ...]:
    """Corners from left, upper edge, width and height."""
    if cell.lower() in UNKNOWN:
        return (None,) * 4
    values = [float(word) for word in re.split(r"[,;\s]+", cell.strip("[]() "))]
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise ValueError(cell)
    left, top, width, height = values
    return left, top, left + width, top + height


def _of(known: Mapping[str, _Value], cell: str) -> _Value:
    if cell.lower() not in known:
        raise ValueError(cell)
    return known[cell.lower()]
