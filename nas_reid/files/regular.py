"""Only regular files are read: a pipe would block for ever, a device may never end."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {stat.S_IFIFO: "a pipe (FIFO)", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
          stat.S_IFDIR: "a folder"}


class NotARegularFile(OSError):
    """What is at a path is no file; ``strerror`` and the message say what it is."""

    def __str__(self) -> str:
        """Without the number, which says nothing."""
        return self.strerror or "it is not a regular file"


def require_regular(path: str | os.PathLike[str]) -> None:
    """Check that ``path`` is a regular file or a link to one, without opening it.

    Raises:
        NotARegularFile: it is something else.
        OSError: it does not exist, or cannot be looked at.
    """
    kind = stat.S_IFMT(os.stat(path).st_mode)
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "something else")
        raise NotARegularFile(errno.EINVAL, f"it is {what}, not a regular file", os.fspath(path))


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """The regular file at ``path``, opened for reading bytes; see ``require_regular`` for the errors."""
    require_regular(path)
    return open(path, "rb")


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file; see ``require_regular`` for the errors."""
    require_regular(path)
    return path.read_bytes()
