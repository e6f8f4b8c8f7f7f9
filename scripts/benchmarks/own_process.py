"""Work in a process of its own, whose memory malloc handles by itself: commands keep what they free (``run.memory``).

It has to be another process: an array that finds room in memory once kept is not mapped anew, whatever malloc is told.
"""

import atexit
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch


def in_own_process(build: Callable[[], Callable[[], object]]) -> Callable[[], None]:
    """Call ``build``, which can be pickled, in a new process with as many threads; what is returned runs its work."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, build, torch.get_num_threads()))
    process.start()
    theirs.close()
    atexit.register(ours.close)  # which ends it: a daemon's own processes, as of a DataLoader, are not allowed
    ours.recv()  # it is built

    def run() -> None:
        ours.send(None)
        ours.recv()

    return run


def _serve(calls: Connection, build: Callable[[], Callable[[], object]], threads: int) -> None:
    torch.set_num_threads(threads)
    work = build()
    with suppress(EOFError):  # the other end is gone: the benchmark has ended
        while True:
            calls.send(None)
            calls.recv()
            work()
