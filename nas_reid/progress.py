"""Progress bars with time left; silent where nobody watches (no terminal), so that logs stay readable."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


def progress(iterable: Iterable[Any], *, description: str, total: int | None = None, unit: str = "it") -> tqdm:
    """A bar over ``iterable`` on stderr with count, rate and time left; ``set_postfix`` adds numbers to it."""
    return tqdm(iterable, desc=description, total=total, unit=unit, dynamic_ncols=True, leave=False,
                disable=not sys.stderr.isatty())


@contextmanager
def progress_total(*, description: str, total: int, unit: str = "it") -> Iterator[tqdm]:
    """A bar that the caller advances with ``update(n)``, for work that finishes out of order."""
    with tqdm(total=total, desc=description, unit=unit, dynamic_ncols=True, leave=False,
              disable=not sys.stderr.isatty()) as bar:
        yield bar
