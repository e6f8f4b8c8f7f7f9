"""Lists of identities and of images with labels, as RGB-infrared data sets have them in text files."""

import re
from pathlib import Path

from nas_reid.errors import DataError


def read_ids(path: Path) -> list[int]:
    """The identities of a text file, separated by commas or blanks, sorted.

    Raises:
        DataError: the file cannot be read, holds something else, or an identity below 1.
    """
    words = re.findall(r"[^\s,]+", _text(path))
    try:
        ids = sorted({int(word) for word in words})
    except ValueError:
        ids = []
    if not ids or ids[0] < 0:
        raise DataError(f"{path} must hold identities separated by commas, such as '1,2,4'; found "
                        f"{' '.join(words)[:60]!r}. Fetch it again")
    return ids


def read_labelled(path: Path) -> list[tuple[str, int]]:
    """(path, label) of every line of a text file, as they stand there.

    Raises:
        DataError: the file cannot be read, is empty, or a line is of another form.
    """
    rows = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            name, label = line.split()
            rows.append((name, int(label)))
        except ValueError:
            raise DataError(f"{path}, line {number}: expected a path and a label, such as "
                            f"'Visible/1/male_back_v_05528_1.bmp 0', found {line[:80]!r}") from None
    if not rows:
        raise DataError(f"{path} is empty; fetch it again")
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; it belongs to the data set's official files") from None
