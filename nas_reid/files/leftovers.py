"""What killed processes left unfinished, removed without touching what living ones are about to finish."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nas_reid.files import UNFINISHED
from nas_reid.files.lock import LockHeld, holding

_ABANDONED_AFTER_S = 3600.0
"""Where there are no locks: a living writer changes its file, or the files in its folder, more often than this."""


def lock_of(path: Path) -> Path:
    """The lock file that whoever is making ``path`` holds."""
    return path.with_name(f".{path.name}.lock")


def remove_unfinished(folder: Path, name: str | None = None) -> None:
    """Remove what is unfinished in a folder; only for who holds the lock of all that is made there.

    Args:
        folder: its folders are not entered.
        name: of the file or folder in the making; None for any.
    """
    for path, made in _unfinished(folder):
        if name in (None, made):
            _remove(path)


def sweep(folder: Path) -> None:
    """Remove what dead processes left in a folder where each name is made under its own lock, see ``lock_of``."""
    names = {made for _, made in _unfinished(folder)}
    names |= {path.name[1:-len(".lock")] for path in _entries(folder) if path.name.endswith(".lock")}
    for name in sorted(names):
        with suppress(LockHeld, OSError), holding(lock_of(folder / name)) as locked:
            for path, made in _unfinished(folder):
                if made == name and (locked or time.time() - _last_change(path) > _ABANDONED_AFTER_S):
                    _remove(path)


def _entries(folder: Path) -> list[Path]:
    """Hidden entries, none if there is no such folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.startswith("."))
    except OSError:
        return []


def _unfinished(folder: Path) -> Iterator[tuple[Path, str]]:
    """Unfinished entries, and the names that they would have got."""
    for path in _entries(folder):
        if match := UNFINISHED.fullmatch(path.name):
            yield path, match["name"]


def _last_change(path: Path) -> float:
    """Time of the last change of a file, or of a folder and what is in it."""
    with suppress(OSError):
        return max(entry.stat().st_mtime for entry in (path, *path.rglob("*")))
    return time.time()  # it vanished or is changing


def _remove(path: Path) -> None:
    with suppress(OSError):  # another process may be faster; what cannot be removed does no harm
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
