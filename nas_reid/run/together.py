"""One run in several processes: one folder whatever each clock says, one configuration, and one voice."""

import hashlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from omegaconf import DictConfig, OmegaConf

import nas_reid
from nas_reid.errors import ConfigError
from nas_reid.parallel.processes import (
    PeerLost,
    begin_command,
    is_main,
    keep_folder,
    kept_folder,
    rank,
    speaks_first,
    start,
    stop,
    world,
)
from nas_reid.parallel.turns import everyones, from_main
from nas_reid.record.provenance import versions
from nas_reid.run.command_line import override
from nas_reid.run.same_config import changes_that_matter

_VISIBLE_S = 30.0  # until which a file of another machine must show; network file systems remember for a while
_TURN_S = 1.0      # by which the others let the main process tell of a lost one, as it knows where the run stands

_announced = False


@contextmanager
def together(several: bool) -> Iterator[None]:
    """Join the processes of this run for the block, which composes the configuration and runs the command.

    The main process tells its folder with ``announce``; the others are given it as an override. Where it has none to
    tell, as with ``--help``, they end. Whoever fails first says why, the others end without a word. Does nothing for
    a single process.

    Args:
        several: whether the command can run in several processes; one that cannot joins nobody.
    """
    global _announced
    _announced, joined = False, False
    try:
        joined = several and start()
        begin_command()
        if world() > 1:
            _take_folder(kept_folder() if is_main() else _told_folder())
        yield
        _tell_the_end(0)
        if joined:
            stop()
    except (ConfigError, PeerLost) as error:  # of the start; what a command raises has been given its form
        _leave(f"{type(error).__name__}: {error}")
    except SystemExit as end:
        if isinstance(end.code, str):
            _leave(end.code)
        _tell_the_end(1 if end.code else 0)
        raise
    except Exception:
        first = speaks_first()
        _tell_the_end(1)
        if not first:
            sys.exit(1)
        raise


def announce(folder: Path) -> None:
    """Tell the other processes the run's folder, which exists; for the main process.

    Raises:
        ConfigError: one of them does not find it.
    """
    global _announced
    if world() == 1:
        return
    _announced, folder = True, folder.absolute()
    keep_folder(str(folder))
    sign = folder / f".together-{uuid4().hex}"
    sign.touch()
    try:
        from_main(lambda: (str(folder), sign.name))
        blind = [number for number, sees in enumerate(everyones(True)) if not sees]
    finally:
        with suppress(OSError):
            sign.unlink()
    if blind:
        raise ConfigError(f"process {blind[0]} of {world()} does not find {folder}, which process 0 writes to; all "
                          "machines of a run must share its folder: choose one with hydra.run.dir=")


def require_alike(cfg: DictConfig) -> None:
    """Refuse to run where processes have other code or another configuration than the first.

    Raises:
        ConfigError: they have; the message names the first that does, and what differs.
    """
    if world() == 1:
        return
    known: Any = OmegaConf.to_container(cfg, resolve=True)
    found = everyones((known, {**versions(), "sources": _sources()}))
    for number, (config, code) in enumerate(found):
        if code != found[0][1]:
            raise ConfigError(f"process {number} runs other code than process 0: {code} and {found[0][1]}; install the "
                              "same on all machines")
        if changes := changes_that_matter(found[0][0], config):
            raise ConfigError(f"process {number} has another configuration than process 0: {'; '.join(changes)}; start "
                              "all with the same command line and the same conf/local/default.yaml")


def only_main_logs() -> None:
    """Let the other processes log nothing: what they would say, the main one says."""
    if not is_main():
        logging.getLogger().setLevel(logging.CRITICAL)


def _told_folder() -> str:
    told: tuple[str, str] | int = from_main(lambda: 0)
    if isinstance(told, int):
        sys.exit(told)
    folder, until = Path(told[0]), time.monotonic() + _VISIBLE_S
    while not (sees := (folder / told[1]).exists()) and time.monotonic() < until:
        time.sleep(0.2)
    everyones(sees)
    if not sees:
        sys.exit(1)  # the main process says why
    return told[0]


def _take_folder(folder: str | None) -> None:
    """Let Hydra write to a folder that was chosen already."""
    if folder is not None:
        kept = [text for text in sys.argv[1:] if not text.startswith("hydra.run.dir=")]
        own = [] if is_main() else ["hydra.output_subdir=null"]
        sys.argv[1:] = [*kept, override("hydra.run.dir", folder), *own]


def _tell_the_end(code: int) -> None:
    """Let the others, who wait for a folder that the main process has not announced, end with that exit code."""
    if world() > 1 and is_main() and not _announced:
        with suppress(PeerLost):
            from_main(lambda: code)


def _leave(message: str) -> None:
    """End with the message, if nobody has given one yet."""
    if message.startswith(PeerLost.__name__) and not is_main():
        time.sleep(_TURN_S)
    first = speaks_first()
    _tell_the_end(1)
    sys.exit(_from_rank(message) if first else 1)


def _from_rank(message: str) -> str:
    return message if world() == 1 else f"process {rank()} of {world()}: {message}"


def _sources() -> str:
    """A digest of the package's code and of the search spaces beside it."""
    package, digest = Path(nas_reid.__file__).resolve().parent, hashlib.blake2b(digest_size=8)
    for path in _python_files((package, package.parent / "search_spaces")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _python_files(folders: Sequence[Path]) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]
