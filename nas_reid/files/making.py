"""Something expensive in a cache, made by one process while the others that want it wait."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nas_reid.files import UNFINISHED
from nas_reid.files.leftovers import lock_of, remove_unfinished
from nas_reid.files.lock import holding
from nas_reid.progress import progress_total

log = logging.getLogger(__name__)


@contextmanager
def sole_maker(target: Path, *, what: str, total: int, unit: str, done: Callable[[Path], int]) -> Iterator[None]:
    """Hold the right to make ``target``; whoever waited for it must look whether ``target`` is there by now.

    The right ends with the process. What a killed process left of ``target`` is removed. Where the file system has no
    locks nobody waits, and several processes may make the same.

    Args:
        target: file or folder; while it is made it has a name of ``nas_reid.files.unfinished``.
        what: is made, for the message of those who wait.
        total, unit: how much there is to make.
        done: how much of it is in the unfinished file or folder.

    Raises:
        OSError: the folder of ``target`` cannot be written.
    """
    with ExitStack() as stack, ExitStack() as shown:
        bars: list[Any] = []

        def wait(holder: str) -> None:
            """Say once who makes it, and show how far that is."""
            if not bars:
                log.info("%s is making %s; waiting for it", holder, what)
                bars.append(shown.enter_context(progress_total(description=f"waiting for {what}", total=total,
                                                               unit=unit)))
            bars[0].update(min(_done(target, done), total) - bars[0].n)

        locked = stack.enter_context(holding(lock_of(target), wait=wait))
        shown.close()
        if locked:
            remove_unfinished(target.parent, target.name)
        yield


def _done(target: Path, done: Callable[[Path], int]) -> int:
    """How far the furthest of the unfinished ones is."""
    counts = [0]
    for path in target.parent.iterdir():
        match = UNFINISHED.fullmatch(path.name)
        if match and match["name"] == target.name:
            try:
                counts.append(done(path))
            except OSError:  # it was finished at this moment
                pass
    return max(counts)
