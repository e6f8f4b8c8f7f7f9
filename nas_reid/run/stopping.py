"""What a Ctrl-C and a SIGTERM become: one message that says where the run stands, never a traceback."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_Handler = Callable[[int, FrameType | None], Any] | int | None

log = logging.getLogger(__name__)


class Terminated(KeyboardInterrupt):
    """A SIGTERM, which unwinds as a Ctrl-C does, so that files, workers and trackers are closed alike."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Ends the process on Ctrl-C or SIGTERM with the notes of what was interrupted, as a shell expects it to end.

    That is by SIGINT itself (so that a loop of the shell ends, too), or with exit code 143.
    """
    before = _on_sigterm(_terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        what = "SIGTERM" if isinstance(stop, Terminated) else "Ctrl-C"
        message = "\n".join([f"stopped by {what}", *getattr(stop, "__notes__", ())])
        if logging.getLogger().handlers:
            log.warning(message, extra={"on_screen": False})  # a job has a log of its own
        sys.stderr.write(f"{message}\n")
        if isinstance(stop, Terminated):
            raise SystemExit(128 + signal.SIGTERM) from None
        sys.excepthook = _quiet(sys.excepthook)
        raise
    finally:
        _on_sigterm(before)


def _on_sigterm(handler: _Handler) -> _Handler:
    """Install a handler where that is possible, and return the one before."""
    if threading.current_thread() is not threading.main_thread() or handler is None:
        return None
    return signal.signal(signal.SIGTERM, handler)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    if multiprocessing.parent_process() is not None:  # a worker that was forked: it has nothing to say
        os._exit(128 + signal.SIGTERM)
    raise Terminated


def _quiet(hook: Callable[..., Any]) -> Callable[..., Any]:
    """An exception hook that says nothing about a Ctrl-C, of which all has been said."""
    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            hook(kind, error, trace)
    return show
