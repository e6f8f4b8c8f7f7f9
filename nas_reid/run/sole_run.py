"""One process in a run folder at a time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path

from nas_reid.errors import ConfigError
from nas_reid.files.leftovers import remove_unfinished
from nas_reid.files.lock import LockHeld, holding
from nas_reid.parallel.processes import announced, is_main, world

_LOCK = ".lock"
_FOLDERS = ("", "checkpoints", "genotypes", "pictures")  # of a run, where files are written
_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())


@contextmanager
def sole_run(folder: Path) -> Iterator[None]:
    """Keep a run folder for the block, and remove what killed processes left unfinished in it.

    The right ends with the process. A block inside another one of the same folder adds nothing. Where the file system
    has no locks nothing is kept and nothing removed. Of several processes of one run the first keeps it for all.

    Raises:
        ConfigError: another process runs in the folder, or this is one of several processes (``one_of_several``).
        OSError: the folder cannot be written.
    """
    if refusal := one_of_several():
        raise ConfigError(refusal)
    folder = folder.resolve()
    if folder in _held.get() or not is_main():
        yield
        return
    with ExitStack() as stack:
        try:
            locked = stack.enter_context(holding(folder / _LOCK))
        except LockHeld as held:
            raise ConfigError(f"{held} is running in {folder}; wait until it ends, or choose another folder with "
                              "hydra.run.dir=") from None
        stack.callback(_held.reset, _held.set(_held.get() | {folder}))
        for name in _FOLDERS if locked else ():
            remove_unfinished(folder / name)
        yield


def one_of_several() -> str | None:
    """Why this must not be one of several processes that have not joined, where ``WORLD_SIZE`` says so; else None."""
    if announced() == world():
        return None
    return (f"WORLD_SIZE={announced()}: this run is one process, and several would write into one folder. Start it "
            "without torchrun, or unset WORLD_SIZE; several runs at once are a sweep (-m). Training, evaluate and "
            "extract run in several processes (torchrun -m nas_reid.<command>)")
