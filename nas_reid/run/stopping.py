"""What a Ctrl-C, a SIGTERM and a SIGHUP become: one message that says where the run stands, never a traceback."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from nas_reid.parallel.processes import is_main, speaks_first
from nas_reid.run.door import quiet

_REQUESTS = ("SIGTERM", "SIGHUP")  # of schedulers and ``kill``; of a terminal that closes. Windows has the first alone
_SAME_REQUEST_S = 10.0  # some senders repeat themselves at once, which must not interrupt the cleaning up

log = logging.getLogger(__name__)


class Terminated(KeyboardInterrupt):
    """A request to end, which unwinds as a Ctrl-C does, so that files, workers and trackers are closed alike.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Ends the process on Ctrl-C or a request to end with the notes of what was interrupted, as a shell expects it.

    That is by SIGINT itself (so that a loop of the shell ends, too), or with exit code 143 for SIGTERM, 129 for SIGHUP.
    Who ignores or handles these signals already, as ``nohup`` and launchers for clusters do, goes on to do so. Of
    several processes the main one speaks.
    """
    handled = _handle_requests()
    try:
        yield
    except KeyboardInterrupt as stop:
        what = signal.Signals(stop.number).name if isinstance(stop, Terminated) else "Ctrl-C"
        message = "\n".join([f"stopped by {what}", *getattr(stop, "__notes__", ())])
        if logging.getLogger().handlers:
            log.warning(message, extra={"on_screen": False})  # a job has a log of its own
        with suppress(OSError):  # the terminal may be what is gone
            sys.stderr.write(f"{message}\n" if is_main() and speaks_first() else "")
        if isinstance(stop, Terminated):
            raise SystemExit(128 + stop.number) from None
        sys.excepthook = quiet(sys.excepthook)
        raise
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def _handle_requests() -> list[int]:
    """Turn requests to end into ``Terminated`` where Python can and nobody else does; returns those signals."""
    last = -_SAME_REQUEST_S

    def end(number: int, _frame: FrameType | None) -> None:
        """Handler of the signal."""
        nonlocal last
        if multiprocessing.parent_process() is not None:  # a worker that was forked: it has nothing to say
            os._exit(128 + number)
        before, last = last, time.monotonic()
        if last - before >= _SAME_REQUEST_S:
            raise Terminated(number)

    if threading.current_thread() is not threading.main_thread():
        return []
    handled = [number for name in _REQUESTS if (number := getattr(signal, name, None)) is not None
               and signal.getsignal(number) is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, end)
    return handled
