"""Work on processes that end with the one that they work for, whatever ends that."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
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
            yield lambda function, items: _started(pool, function, items, chunk)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # else leaving would wait for everything that was asked for,
            for worker in set(multiprocessing.active_children()) - others:  # and for what is being done
                worker.terminate()
            raise


def _started(pool: ProcessPoolExecutor, function: Callable[[Any], Any], items: Iterable[Any],
             chunk: int) -> Iterator[Any]:
    """``pool.map``, whose first call starts the processes."""
    of_main = getattr(function, "func", function).__module__ == "__main__"  # of a partial: what it calls
    with nullcontext() if of_main else _main_hidden():
        return pool.map(function, items, chunksize=chunk)


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Let processes that are spawned meanwhile not run the main module again, which they have no use for.

    It may be a script that does not ask for its ``__name__`` and would begin anew in each of them, and a command would
    import torch.
    """
    main = sys.modules["__main__"]
    kept: dict[str, Any] = {name: vars(main).pop(name) for name in ("__spec__", "__file__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(kept)


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
