"""Locks between processes, which end with the process that holds them, however it ends."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Missing on some systems, which are treated as file systems without locks.
fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None

POLL_S = 0.2
"""How often a waiting process looks again."""


class LockHeld(Exception):
    """Another process (or another thread of this one) holds the lock; the message says which."""


@contextmanager
def holding(path: Path, *, wait: Callable[[str], object] | None = None) -> Iterator[bool]:
    """Hold the lock file ``path``, which is gone afterwards; that of a killed process stays and locks nothing.

    ``flock`` reaches every process of a machine, and over NFS those of other machines where that passes locks on.
    Yields True; or False where the file system has no locks: the block then runs unprotected.

    Args:
        path: the lock file; its folder is created if missing.
        wait: called again and again with the holder in words while somebody else holds it; None does not wait.

    Raises:
        LockHeld: somebody else holds it, without ``wait``.
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            handle = _acquire(path)
            break
        except LockHeld as held:
            if wait is None:
                raise
            wait(str(held))
            time.sleep(POLL_S)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            with suppress(OSError):
                path.unlink()  # while it is held: who opened this file before will see that it is another one
            os.close(handle)


def _acquire(path: Path) -> int | None:
    """The open and locked file, or None where there are no locks."""
    while fcntl is not None:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, handle):
                _sign(handle)
                return handle
        except BlockingIOError:
            holder = _signature(handle)
            os.close(handle)
            raise LockHeld(holder) from None
        except OSError:  # ENOLCK, EOPNOTSUPP, ENOSYS and others
            path.unlink(missing_ok=True)
            os.close(handle)
            return None
        os.close(handle)
    return None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # another user's lock file in a shared folder: it can be locked all the same
        return os.open(path, os.O_RDONLY)


def _is_at(path: Path, handle: int) -> bool:
    """Whether the open file still is the one at ``path``, which its last holder may have removed."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(handle: int) -> None:
    with suppress(OSError):  # a full disk, or another user's file: the lock counts without a name in it
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())


def _signature(handle: int) -> str:
    with suppress(OSError):
        return os.pread(handle, 200, 0).decode(errors="replace") or "another process"
    return "another process"
