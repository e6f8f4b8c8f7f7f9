"""Files that other processes may be reading or writing: whole ones only, of one writer, of the kind that ends."""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

UNFINISHED = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{32}")
"""Names of files and folders that a process is about to finish, or died before it did."""


def unfinished(path: Path) -> Path:
    """A new hidden name beside ``path`` for what will be ``path`` once it is complete."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A temporary file beside ``path``, flushed to disk and renamed to ``path`` when the block succeeds.

    Raises:
        OSError: the folder is read-only or the disk is full; ``path`` then still holds what it held before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = unfinished(path)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write ``content`` to ``path`` in one step, seen by a reader as a whole or not at all; see ``replacing``."""
    with replacing(path) as file:
        file.write(content)
