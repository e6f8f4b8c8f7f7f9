"""The processes of one run, as ``torchrun`` starts them: how they find each other, and which of them this one is.

One process is the ordinary case: then everything here says so and does nothing.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from nas_reid.errors import ConfigError, NasReidError

_VARIABLES = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_START_S = 300.0      # in which the processes must find each other
_PATIENCE_H = 24      # for one that draws, decodes or ranks while others wait; a process that ends is noticed at once
_GRACE_S = 10.0       # in which a process that is asked to end may say so itself
_FOLDER, _SPOKEN = "nas_reid/folder", "nas_reid/spoken"

_store: Any = None  # a ``torch.distributed.TCPStore``
_commands = 0


class PeerLost(NasReidError):
    """Another process of this run has ended before its time."""


def announced() -> int:
    """How many processes the environment speaks of (``WORLD_SIZE``), whether or not ``start`` was called.

    Raises:
        ConfigError: not a number above 0.
    """
    text = os.environ.get("WORLD_SIZE", "").strip() or "1"
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"WORLD_SIZE={text} is no number of processes; unset it, or start the command by torchrun")
    return int(text)


def world() -> int:
    """Number of processes of this run."""
    return distributed.get_world_size() if _is_started() else 1


def rank() -> int:
    """Number of this process among them, from 0."""
    return distributed.get_rank() if _is_started() else 0


def local_rank() -> int:
    """Number of this process among those of its machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if _is_started() else 0


def launcher() -> list[str]:
    """The words of a shell that start as many processes again: ``python``, or ``torchrun`` and its arguments."""
    if world() == 1:
        return ["python"]
    here = int(os.environ.get("LOCAL_WORLD_SIZE", world()))
    machines = [] if here == world() else [f"--nnodes={world() // here}", "..."]
    return ["torchrun", *machines, f"--nproc_per_node={here}"]


def is_main() -> bool:
    """Whether this is the process that makes folders and data, writes, draws and speaks; a single one is."""
    return rank() == 0


def start() -> bool:
    """Join the other processes that the environment speaks of; False where there are none, or that was done.

    Tensors of a CPU travel by gloo, those of a GPU by NCCL.

    Raises:
        ConfigError: a variable of ``torchrun`` is missing or illegal, or the others are not to be found.
    """
    global _store
    size = announced()
    if size == 1 or _is_started():
        return False
    number = _numbers(size)
    from torch._C._distributed_c10d import PrefixStore, TCPStore  # not in every build of torch
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    has_gpu = torch.cuda.is_available() and distributed.is_nccl_available()
    by_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    address, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    try:
        _store = TCPStore(address, int(port), is_master=number == 0 and not by_agent, wait_for_workers=False,
                          timeout=timedelta(seconds=_START_S))
        distributed.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo", rank=number, world_size=size,
                                       store=PrefixStore(f"nas_reid/attempt_{attempt}", _store),
                                       timeout=timedelta(hours=_PATIENCE_H))
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"process {number} of {size} does not find the others at {address}:{port} ({reason}); start "
                          "all of them by torchrun. On several machines, MASTER_ADDR must be reached from each, and "
                          "GLOO_SOCKET_IFNAME names the network") from error
    if threading.current_thread() is threading.main_thread():
        _end_when_asked()
    return True


def stop() -> None:
    """Leave the others, when all is done; nothing for a single process."""
    global _store
    if _is_started():
        distributed.destroy_process_group()
    _store = None


def begin_command() -> None:
    """Begin with a command, of which ``speaks_first`` tells; every process does."""
    global _commands
    _commands += 1


def speaks_first() -> bool:
    """Whether nobody has said yet why the command ends; from now on somebody has. True for a single process."""
    if _store is None:
        return True
    try:
        return int(_store.add(f"{_SPOKEN}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{_commands}", 1)) == 1
    except RuntimeError:  # who kept the count is gone
        return True


def keep_folder(folder: str) -> None:
    """Let processes that ``torchrun`` starts in the place of these find the run's folder."""
    if _store is not None:
        _store.set(_FOLDER, folder)


def kept_folder() -> str | None:
    """The folder of the processes in whose place ``torchrun`` has started these; None for the first ones."""
    if _store is None or os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0" or not _store.check([_FOLDER]):
        return None
    folder: str = _store.get(_FOLDER).decode()
    return folder


@contextmanager
def contact() -> Iterator[None]:
    """Around whatever waits for the others.

    Raises:
        PeerLost: one of them ended.
    """
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0].partition("] ")[2].partition(". This is")[0] or type(error).__name__
        raise PeerLost(f"another of the {world()} processes of this run has ended without a word, killed perhaps "
                       f"({reason})") from error


def _is_started() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _numbers(size: int) -> int:
    """The rank, when all that ``torchrun`` sets is there."""
    if missing := [name for name in _VARIABLES if not os.environ.get(name, "").strip()]:
        raise ConfigError(f"WORLD_SIZE={size} without {', '.join(missing)}: these are set by torchrun "
                          f"--nproc_per_node={size} -m nas_reid.<command> ...; for a single process unset WORLD_SIZE")
    for name in ("RANK", "LOCAL_RANK", "MASTER_PORT"):
        value, limit = os.environ[name], {"MASTER_PORT": 2**16}.get(name, size)
        if not value.isdecimal() or int(value) >= limit:
            raise ConfigError(f"{name}={value} with WORLD_SIZE={size}: expected a number from 0 to {limit - 1}; start "
                              "the command by torchrun, which sets both")
    return int(os.environ["RANK"])


def _end_when_asked() -> None:
    """Let a process that waits for a lost one in the depths of a library end all the same soon after a SIGTERM.

    Python hears of a signal between two of its operations alone. What the system tells at once is a byte in a pipe.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def watch() -> None:
        """Wait for the signal that ends the group, and end this process if it does not end by itself."""
        with suppress(OSError):
            while (number := os.read(reading, 1)) and number[0] != signal.SIGTERM:
                pass
            time.sleep(_GRACE_S)
            os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="nas_reid-end", daemon=True).start()
