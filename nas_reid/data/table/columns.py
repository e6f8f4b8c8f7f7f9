"""Reading a table by columns, whatever its dialect calls them."""

import csv
import io
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nas_reid.errors import ConfigError, DataError, some
from nas_reid.files.foreign import read_text
from nas_reid.files.kinds import HEAD, no_text

COLUMNS: dict[str, tuple[str, ...]] = {
    "path": ("image_path", "img_path", "file_path", "filepath", "filename", "file_name", "file", "image"),
    "pid": ("label", "identity", "identity_id", "person", "person_id"),
    "camid": ("camera", "camera_id", "cam", "cam_id"),
    "split": ("subset",),
    "is_query": (),
    "is_gallery": (),
    "x_1": ("x1", "xmin", "left"),
    "y_1": ("y1", "ymin", "top"),
    "x_2": ("x2", "xmax", "right"),
    "y_2": ("y2", "ymax", "bottom"),
    "bbox": (),
    "modality": (),
    "sequence": ("sequence_id", "track", "track_id", "tracklet", "tracklet_id"),
}
"""Column -> other names of it; ``label`` is open-metric-learning's, ``identity`` and ``bbox`` wildlife-datasets'."""

PASSED_OVER = frozenset({"", "index", "unnamed: 0", "image_id", "category", "category_name", "species", "date", "video",
                         "orientation", "position", "keypoints", "segmentation", "text", "hierarchy_label"})
"""Columns that these dialects have and nothing here needs: of row numbers, and of other purposes."""
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Table:
    """The cells of a table, without blanks around them.

    Attributes:
        file: for messages.
        cells: column of ``COLUMNS`` -> its N cells.
        named: column of ``COLUMNS`` -> what the table calls it.
        lines: [N], number of each row's last line in the file.
        passed_over: names of the columns that are not used, beside those that the user named.
    """

    file: Path
    cells: Mapping[str, list[str]]
    named: Mapping[str, str]
    lines: Sequence[int]
    passed_over: tuple[str, ...]

    def __len__(self) -> int:
        """N."""
        return len(self.lines)

    def __contains__(self, column: str) -> bool:
        """Whether the table has a column."""
        return column in self.cells

    def at(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"{self.file}, line {self.lines[row]}"

    def rows_where(self, rows: Sequence[int], column: str) -> str:
        """Some rows with what they have in a column, for messages."""
        return "; ".join(f"line {self.lines[row]}: {self.named[column]}={self.cells[column][row]!r}"
                         for row in rows[:3]) + ("; ..." if len(rows) > 3 else "")


def read_table(file: Path, *, columns: Mapping[str, str], ignore: Collection[str]) -> Table:
    """Read a table of text: separated by commas, semicolons, tabs or bars, with a head line.

    Args:
        file: the table.
        columns: column of ``COLUMNS`` -> what this table calls it, where that is none of the known names.
        ignore: names of further columns to pass over.

    Raises:
        ConfigError: ``columns`` or ``ignore`` name something that there is not.
        DataError: the file cannot be read or is no table of text; a column is unknown, is there twice, or is missing.
    """
    try:
        text = read_text(file)
    except OSError as error:
        raise DataError(f"cannot read the table {file}: {error.strerror or error}; data.table= must be a CSV file with "
                        "the columns path and pid") from None
    _require_lines(file, text)
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = max(_DELIMITERS, key=first.count)
    rows = csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter, strict=True)
    try:
        head = [name.strip() for name in next(rows, [])]
        places, passed_over = _places(file, head, columns, ignore)
        cells, lines = _cells(file, rows, len(head), places)
    except csv.Error as error:
        raise DataError(f"{file}, line {rows.line_num}: {error}; expected values separated by {delimiter!r}, in double "
                        "quotes where they contain it") from None
    if not lines:
        raise DataError(f"{file} has no row; expected a head line such as path,pid,camid and a line for every image")
    return Table(file, cells, {column: head[place] for column, place in places.items()}, lines, passed_over)


def _require_lines(file: Path, text: str) -> None:
    """Check that a file is a table at all, before its first line is taken for names of columns."""
    head = text[:HEAD].encode("utf-8", errors="surrogateescape")
    what = no_text(head) or ("is JSON" if text.lstrip()[:1] in ("{", "[") else None if text.strip() else "is empty")
    if what or "\0" in text:
        raise DataError(f"{file}: it {what or 'holds bytes of value 0, which no text does'}; data.table= must be a "
                        "text file with a head line such as path,pid,camid and a line for every image. Save or export "
                        "the table as CSV")


def _places(file: Path, head: Sequence[str], columns: Mapping[str, str],
            ignore: Collection[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Column -> its place in a row; and the names of the columns that are not used."""
    known = {alias: column for column, aliases in COLUMNS.items() for alias in (column, *aliases)}
    if unknown := sorted(set(columns) - set(COLUMNS)):
        raise ConfigError(f"data.options.columns names {', '.join(unknown)}; it may name {', '.join(COLUMNS)}, each "
                          "with what the table calls it")
    if absent := sorted({*columns.values(), *ignore} - set(head)):
        raise ConfigError(f"data.options.columns or .ignore names {some(absent)}, which {file} does not have; its "
                          f"columns are {', '.join(head)}")
    given = {name: column for column, name in columns.items()}
    found: dict[str, list[int]] = {}
    unknown, passed_over = [], []
    for place, name in enumerate(head):
        column = given.get(name) or known.get(name.lower())
        if name in ignore:
            continue
        if (name not in given and column in columns) or name.lower() in PASSED_OVER - set(given):
            passed_over.append(name)
        elif column is None:
            unknown.append(name)
        else:
            found.setdefault(column, []).append(place)
    _require_columns(file, head, found, unknown, list(known))
    return {column: place for column, (place,) in found.items()}, tuple(passed_over)


def _require_columns(file: Path, head: Sequence[str], found: Mapping[str, Sequence[int]], unknown: Sequence[str],
                     known: Sequence[str]) -> None:
    if unknown:
        hints = [f" (did you mean {close[0]}?)" if (close := get_close_matches(name.lower(), known, 1, 0.75)) else ""
                 for name in unknown]
        named = ", ".join(f"{name!r}{hint}" for name, hint in list(zip(unknown, hints, strict=True))[:8])
        named += f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        raise DataError(f"{file}: unknown columns {named}. Known are {', '.join(COLUMNS)} and other names of these. "
                        f"Say what it is with 'data.options.columns={{pid: {unknown[0]}}}', or pass over it with "
                        f"'data.options.ignore=[{','.join(unknown)}]'")
    for column, places in found.items():
        if len(places) > 1:
            names = [head[place] for place in places]
            way_out = (f"choose with 'data.options.ignore=[{','.join(names[1:])}]'" if len(set(names)) == len(names)
                       else "rename one of them in the head line")
            raise DataError(f"{file}: the columns {' and '.join(names)} both mean {column}; {way_out}")
    if missing := [column for column in ("path", "pid") if column not in found]:
        raise DataError(f"{file} has no column {' or '.join(missing)}; its columns are {', '.join(head) or 'none'}. "
                        f"Name it with 'data.options.columns={{{missing[0]}: NAME}}'")
    corners = [column for column in ("x_1", "y_1", "x_2", "y_2") if column in found]
    if 0 < len(corners) < 4 or (corners and "bbox" in found):
        raise DataError(f"{file}: a box is either x_1, y_1, x_2, y_2 or bbox; found {', '.join(corners)}"
                        f"{' and bbox' if 'bbox' in found else ''}. Complete it, or pass over it with "
                        "data.options.ignore")


def _cells(file: Path, rows: Any, width: int,
           places: Mapping[str, int]) -> tuple[dict[str, list[str]], Sequence[int]]:
    """The cells by column, equal ones of all columns being one object, and the lines that they are in."""
    cells: dict[str, list[str]] = {column: [] for column in places}
    targets = [(cells[column], place) for column, place in places.items()]
    lines, one = array("q"), dict[str, str]()
    for row in rows:
        if len(row) != width:
            if not any(cell.strip() for cell in row):
                continue
            raise DataError(f"{file}, line {rows.line_num}: {len(row)} values, and the head line names {width} "
                            "columns; put values that contain the separator in double quotes")
        for column, place in targets:
            cell = row[place].strip()
            column.append(one.setdefault(cell, cell))
        lines.append(rows.line_num)
    return cells, lines
