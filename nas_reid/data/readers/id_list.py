"""Text files that list identities, or images with labels."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from nas_reid.errors import DataError
from nas_reid.files.foreign import read_text

_Row = TypeVar("_Row")


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
        DataError: see ``read_rows``.
    """
    return read_rows(path, lambda name, label: (name, int(label)),
                     expected="a path and a label, such as 'Visible/1/male_back_v_05528_1.bmp 0'")


def read_rows(path: Path, parse: Callable[[str, str], _Row], *, expected: str) -> list[_Row]:
    """What ``parse`` makes of the two words of every line of a text file; empty lines are passed over.

    Args:
        path: the file.
        parse: (first word, an image; second word) -> row; a ``ValueError`` or ``IndexError`` refuses the line.
        expected: the form of a line, with an example, for the message.

    Raises:
        DataError: the file cannot be read, is empty, a line is of another form, or two lines name one image.
    """
    rows, listed = [], []
    for number, line in numbered_lines(path):
        try:
            first, second = line.split()
            rows.append(parse(first, second))
            listed.append((number, first, line))
        except (ValueError, IndexError):
            raise DataError(f"{path}, line {number}: expected {expected}, found {line[:80]!r}") from None
    require_listed_once(path, listed)
    return rows


def require_listed_once(path: Path, listed: Iterable[tuple[int, str, str]]) -> None:
    """Check that no two lines of a list name the same image, lest it silently get what the last one says.

    Args:
        path: the file, for the message.
        listed: number of the line, image, line.

    Raises:
        DataError: two do; the message shows both.
    """
    seen: dict[str, tuple[int, str]] = {}
    for number, image, line in listed:
        if image in seen:
            before, other = seen[image]
            raise DataError(f"{path}: lines {before} and {number} list {image} twice, as {other[:80]!r} and as "
                            f"{line[:80]!r}; leave one of them, or fetch the list again")
        seen[image] = number, line


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not empty, without blanks around them, and their numbers from 1.

    Raises:
        DataError: the file cannot be read or has no such line.
    """
    lines = [(number, line.strip()) for number, line in enumerate(_text(path).splitlines(), start=1) if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty; fetch it again")
    yield from lines


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; it belongs to the data set's official files") from None
