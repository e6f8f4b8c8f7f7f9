"""Paths as a user writes them, and text as other systems do."""

import codecs
from pathlib import Path

from nas_reid.files.regular import read_regular

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def user_path(text: str | Path) -> Path:
    """The path that a user wrote: ``~`` and ``~name`` at its beginning are home folders, where there are such.

    Every path of the configuration, the environment and the Python interface goes through here.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no user of that name: it is a folder's name then
        return Path(text)


def read_text(path: Path) -> str:
    """The text of a file from any system, without the byte order mark that some editors put first.

    Bytes that are no UTF-8 become what ``os.fsdecode`` makes of them, so that a file name in a list still names its
    file.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    content = read_regular(path)
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    return content.removeprefix(mark).decode(encoding, errors="surrogateescape" if encoding == "utf-8" else "replace")


def to_bytes(text: str) -> bytes:
    """UTF-8 that every reader takes; bytes of file names that never were UTF-8 are spelt as in JSON, ``\\udcb2``."""
    return text.encode("utf-8", errors="backslashreplace")
