"""Work on processes that end with the one that they work for, whatever ends that."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

_CHUNK = 16  # items a worker takes at once


@contextmanager
def mapper(workers: int, *,
           chunk: int = _CHUNK) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """An ordered ``map``, over processes if there are several workers; leaving the block by an exception ends them."""
    if workers <= 1:
        yield map
        return
    # Spawned, not forked: the caller may run threads (torch, wandb) that a fork would leave half dead.
    context, others = multiprocessing.get_context("spawn"), set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        try:
            yield lambda function, items: pool.map(function, items, chunksize=chunk)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # else leaving would wait for everything that was asked for,
            for worker in set(multiprocessing.active_children()) - others:  # and for what is being done
                worker.terminate()
            raise


def end_with_parent() -> None:
    """Let this process, which ``multiprocessing`` spawned, end when its parent does, whatever kills that one.

    The system tells: the pipe to the parent closes. The process ends between two operations of Python and cleans
    nothing up, as its parent cannot use it any more. Ctrl-C, which a terminal sends to both, is left to the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), name="nas_reid-parent", daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
