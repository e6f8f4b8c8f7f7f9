"""What the commands share: Hydra at the door, errors that a person can read, the device."""

import functools
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

import nas_reid
from nas_reid.config.loading import schema_node
from nas_reid.config.schemas import SCHEMAS
from nas_reid.errors import ConfigError, NasReidError
from nas_reid.run.search_path import InstalledSpaces

log = logging.getLogger(__name__)


class CommandError(CompactHydraException):
    """A user's error as Hydra prints it: the message alone, without a traceback."""


class WritableOutput(Callback):
    """Ends a command whose output folder cannot be written, before Hydra tries to and shows a traceback."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra before a run."""
        _require_writable(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra before a sweep."""
        _require_writable(Path(config.hydra.sweep.dir))


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
    except OSError as error:  # Hydra turns an Exception of a callback into a warning; an exit it lets through
        sys.exit(f"cannot write to the output folder {folder.absolute()}: {error.strerror}. Choose another one with "
                 "hydra.run.dir= (of a sweep: hydra.sweep.dir=), or free some space")


def command(name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Decorator: the Hydra entry point of ``conf/<name>.yaml`` with readable errors.

    A ``NasReidError`` ends the job with its message alone (exit code 1; a sweep goes on with its next job);
    anything else is logged with its traceback, so that a failed job of a sweep has a log of its own.
    """
    register_schemas()
    Plugins.instance().register(InstalledSpaces)

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        @hydra.main(version_base="1.3", config_path=config_dir(), config_name=name)
        @functools.wraps(function)
        def entry(cfg: DictConfig) -> Any:
            with _readable_errors():
                return function(cfg)

        return entry

    return decorate


def register_schemas() -> None:
    """Give Hydra the schemas ``<command>_schema`` that the files in ``conf/`` start from."""
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema_node(schema))


def config_dir() -> str:
    """Folder of the configuration: inside the package in an installed wheel, beside it in a checkout."""
    package = Path(nas_reid.__file__).resolve().parent
    installed = package / "conf"
    return str(installed if installed.is_dir() else package.parent / "conf")


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except NasReidError as error:
        log.error("%s", error)  # a job of a sweep needs the reason in its own log
        raise CommandError(f"{type(error).__name__}: {error}") from error
    except OSError as error:
        log.error("%s", error)
        raise CommandError(f"{type(error).__name__}: {error}. Check free space and permissions, then repeat the "
                           "command: a run continues from its last checkpoint") from error
    except Exception:
        log.exception("the job failed")
        raise


def output_dir() -> Path:
    """The job's own folder, chosen by Hydra."""
    return Path(HydraConfig.get().runtime.output_dir)


def job_identity() -> tuple[str, int]:
    """Name of the sweep folder (or run folder) and the job's number in it, for grouping and device choice."""
    config = HydraConfig.get()
    if config.mode is not None and config.mode.name == "MULTIRUN":
        return Path(config.sweep.dir).name, int(config.job.num)
    return Path(config.run.dir).name, 0


def select_device(name: str, *, job: int = 0) -> torch.device:
    """``auto`` is the GPU ``job`` modulo their number, else the CPU; any other name is taken as it is.

    Raises:
        ConfigError: not a device name, or a GPU that this machine or this build of torch does not have.
    """
    if name == "auto":
        return torch.device(f"cuda:{job % torch.cuda.device_count()}" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"device={name!r} cannot be used by torch {torch.__version__}: {reason}; use auto, cpu, or a "
                          f"GPU such as cuda:0 of {torch.cuda.device_count()}; device=cpu always works") from error
