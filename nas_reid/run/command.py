"""What the commands share: Hydra at the door, and errors that a person can read."""

import functools
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write

from nas_reid.errors import ConfigError, NasReidError
from nas_reid.files.foreign import user_path
from nas_reid.parallel.processes import is_main, world
from nas_reid.run.command_line import continuing_command, with_plain_paths
from nas_reid.run.composition import prepare
from nas_reid.run.door import config_dir, raised_errors
from nas_reid.run.invocation import invocation
from nas_reid.run.memory import keep_freed_memory
from nas_reid.run.misspelt import explain, refused_flags
from nas_reid.run.sole_run import one_of_several, sole_run
from nas_reid.run.stopping import stoppable
from nas_reid.run.together import announce, only_main_logs, require_alike, together

log = logging.getLogger(__name__)


class CommandError(CompactHydraException):
    """A user's error: the message alone is shown, without a traceback."""


class WritableOutput(Callback):
    """Ends a command whose output folder cannot be written, or is another one's, before Hydra writes to it.

    Of several processes the main one looks, and tells the others which folder it is.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra before a run."""
        folder = _home_expanded(config.hydra.run)
        if not is_main():
            return
        _require_writable(folder)
        try:
            with sole_run(folder):
                pass
            announce(folder)
        except ConfigError as error:
            sys.exit(str(error))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra before a sweep."""
        if world() > 1:
            sys.exit(f"a sweep (-m) does not go with {world()} processes of one run; start torchrun for each of its "
                     "jobs: docs/scaling.md")
        _require_writable(_home_expanded(config.hydra.sweep))


def _home_expanded(part: DictConfig) -> Path:
    """The output folder that ``part.dir`` names, as which it is kept: Hydra would make a folder called ``~``."""
    folder = user_path(part.dir)
    with read_write(part), open_dict(part):
        part.dir = str(folder)
    return folder


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as error:  # Hydra turns an Exception of a callback into a warning; an exit it lets through
        sys.exit(f"cannot write to the output folder {folder.absolute()}: {error.strerror}. Choose another one with "
                 "hydra.run.dir= (of a sweep: hydra.sweep.dir=), or free some space")


def command(name: str, *, sole: bool = True,
            several: bool = False) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Decorator: the Hydra entry point of ``conf/<name>.yaml`` with readable errors, each shown once.

    A ``NasReidError`` ends the job with its message alone (exit code 1; a sweep goes on with its next job), and so does
    a command line that cannot be composed. Anything else ends in its traceback. Both are also in the job's own log.

    Args:
        name: of the command.
        sole: whether a run folder is for one process at a time; see ``sole_run``.
        several: whether the processes that ``torchrun`` starts can share a run; see ``together``.
    """
    prepare()

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        """``function`` as a program."""
        unforeseen: list[Exception] = []

        @hydra.main(version_base="1.3", config_path=config_dir(), config_name=name)
        @functools.wraps(function)
        def entry(cfg: DictConfig) -> Any:
            """One job, as Hydra runs it."""
            _arrange_logs()
            keep_freed_memory()
            try:
                with _readable_errors(), sole_run(invocation().folder) if sole else nullcontext():
                    require_alike(cfg)
                    return function(cfg)
            except CommandError as error:
                if HydraConfig.get().mode is not RunMode.MULTIRUN:
                    sys.exit(str(error))  # past Hydra, which would add words of its own
                sys.stderr.write(f"job {HydraConfig.get().job.num}: {error}\n")
                raise
            except Exception as error:
                unforeseen.append(error)
                raise
            except KeyboardInterrupt as stop:
                _tell_how_to_repeat(stop, name)
                raise

        @functools.wraps(function)
        def main() -> Any:
            """Run the command as one process or one of several; errors are told once."""
            with stoppable(), together(several):
                if refusal := one_of_several() or refused_flags(sys.argv[1:]):
                    sys.exit(refusal)
                sys.argv[1:] = with_plain_paths(sys.argv[1:])
                with raised_errors() as whole:
                    try:
                        return entry()
                    except CommandError:
                        sys.exit(1)  # of a sweep, which has told it
                    except Exception as error:
                        if whole or error in unforeseen:
                            raise
                        sys.exit(explain(name, error, sys.argv[1:], config_dir=config_dir()))

        return main

    return decorate


def _tell_how_to_repeat(stop: KeyboardInterrupt, name: str) -> None:
    """Add the command to what is shown of a stop, unless it says how to go on."""
    if not hasattr(stop, "__notes__"):
        call = invocation()
        stop.add_note(f"to repeat the command: {continuing_command(call, name, call.folder, anew=True)}")


def _arrange_logs() -> None:
    _show_apart()
    _log_any_file_name()
    only_main_logs()


def _show_apart() -> None:
    """Keep what is written to stderr in any case out of the log on the screen, so that it is read once."""
    for handler in logging.getLogger().handlers:
        if getattr(handler, "stream", None) in (sys.stdout, sys.stderr):
            handler.addFilter(lambda record: getattr(record, "on_screen", True))


def _log_any_file_name() -> None:
    """Let every log take names that are not UTF-8, spelt ``\\udcb2``, instead of a traceback in their place."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.errors = "backslashreplace"  # of a file that is opened at its first line
        stream: Any = getattr(handler, "stream", None)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except NasReidError as error:
        log.error("%s", error, extra={"on_screen": False})  # a job of a sweep needs the reason in its own log
        raise CommandError(f"{type(error).__name__}: {error}") from error
    except OSError as error:
        log.error("%s", error, extra={"on_screen": False})
        raise CommandError(f"{type(error).__name__}: {error}. Check free space and permissions, then repeat the "
                           "command: a run continues from its last checkpoint") from error
    except Exception:
        log.exception("the job failed", extra={"on_screen": False})
        raise
