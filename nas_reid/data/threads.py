"""Work on threads whose results are consumed in order, with a bound on what waits."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
Results = Generator[_Result, None, None]
"""An iterator that ``close`` ends early."""


def map_in_order(function: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int, window: int,
                 initializer: Callable[[], object] | None = None) -> Results[_Result]:
    """``map`` on threads, in order. Errors come through; the threads end with the iterator.

    Args:
        function: called once for each item.
        items: taken one by one as the consumer proceeds.
        workers: threads.
        window: items begun and not yet consumed, at most; that many results are held in memory. While the consumer
            uses a result, ``window`` - 1 further ones are worked on.
        initializer: called by each thread before its first item.
    """
    pending: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(workers, "nas_reid-data", initializer) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) == window:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
