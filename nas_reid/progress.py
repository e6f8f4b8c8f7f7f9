"""How far a loop is and how long it takes: a bar on a terminal, elsewhere a line in the log every half minute."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from typing import Any, Protocol

from tqdm import tqdm

from nas_reid.parallel.processes import is_main

EVERY_S = 30.0
_FORESEES = 200
"""Time left is said once so many times what is done would be all: the first image, with the start of its processes in
front of it, foretells days."""

log = logging.getLogger(__name__)


class Progress(Protocol):
    """What a loop does with its progress; iterating over it gives the loop's items.

    Attributes:
        n: items so far.
    """

    n: int

    def __iter__(self) -> Iterator[Any]: ...

    def set_postfix(self, numbers: Mapping[str, object]) -> None:
        """Show numbers beside the count."""

    def update(self, n: int = 1) -> object:
        """Count ``n`` more items, for work that finishes out of order."""


class LoggedProgress:
    """Logs count, numbers and time left whenever ``EVERY_S`` seconds have passed since the last line; nothing before.

    Args:
        iterable: what is counted, or None for work that is counted by ``update``.
        description: of the loop.
        total: number of items; None where it is unknown.
        unit: of an item.
    """

    def __init__(self, iterable: Iterable[Any] | None, description: str, total: int | None, unit: str) -> None:
        self._iterable, self._description, self._total, self._unit = iterable, description, total, unit
        self.n, self._numbers = 0, ""
        self._started = self._said = time.monotonic()

    def __iter__(self) -> Iterator[Any]:
        for item in () if self._iterable is None else self._iterable:
            yield item
            self.update()

    def set_postfix(self, numbers: Mapping[str, object]) -> None:
        """See ``Progress``."""
        self._numbers = "".join(f", {name} {value}" for name, value in numbers.items())

    def update(self, n: int = 1) -> None:
        """See ``Progress``."""
        self.n += n
        now = time.monotonic()
        if now - self._said < EVERY_S:
            return
        self._said, spent = now, now - self._started
        of, left = "", f", {_clock(spent)} so far"
        if self._total is not None and self.n:
            of = f" of {self._total}"
            if self.n * _FORESEES >= self._total:
                left = f", {_clock(spent / self.n * (self._total - self.n))} left"
        log.info("%s: %s %d%s%s%s", self._description, self._unit, self.n, of, self._numbers, left)


def progress(iterable: Iterable[Any], *, description: str, total: int | None = None, unit: str = "it") -> Progress:
    """``iterable`` with its progress: count, time left, and the numbers that ``set_postfix`` gives.

    Args:
        iterable: of the loop.
        description: of the loop.
        total: number of items; None: that of ``iterable``, if it knows.
        unit: of an item.
    """
    if sys.stderr.isatty() and is_main():
        return tqdm(iterable, desc=description, total=total, unit=unit, dynamic_ncols=True, leave=False)
    known = len(iterable) if total is None and isinstance(iterable, Sized) else total
    return LoggedProgress(iterable, description, known, unit)


@contextmanager
def progress_total(*, description: str, total: int, unit: str = "it") -> Iterator[Progress]:
    """Progress that the caller advances with ``update(n)``, for work that finishes out of order."""
    if sys.stderr.isatty() and is_main():
        with tqdm(total=total, desc=description, unit=unit, dynamic_ncols=True, leave=False) as bar:
            yield bar
    else:
        yield LoggedProgress(None, description, total, unit)


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds, as a bar shows them."""
    return tqdm.format_interval(max(0.0, seconds))
