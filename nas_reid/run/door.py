"""What a command answers before it imports what it works with: help, and the completion of a shell.

torch takes seconds to import, and neither needs it. Nothing here may import it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import nas_reid

_FULL_ERROR = "HYDRA_FULL_ERROR"


def enter(command: str) -> None:
    """The first line of a command that is run: answer and end, if the command line asks for words alone; else return.

    A Ctrl-C during the imports that follow ends the process without a traceback.

    Args:
        command: its name, that of its file in ``conf/``.
    """
    sys.excepthook = quiet(sys.excepthook, say="stopped by Ctrl-C")
    flags = {"--help", "-h", "--shell-completion", "-sc"}
    if flags & set(sys.argv[1:]) and (os.environ.get("RANK", "0") != "0" or _answer(command)):
        sys.exit()  # of several processes one answers


def main() -> Any:
    """The entry of ``nas-reid-<command>``, whichever it was called as; what ``python -m nas_reid.<command>`` does."""
    command = Path(sys.argv[0]).stem.removeprefix("nas-reid-").replace("-", "_")
    enter(command)
    from importlib import import_module
    return import_module(f"nas_reid.{command}").main()


def quiet(hook: Callable[..., Any], *, say: str | None = None) -> Callable[..., Any]:
    """An exception hook that says ``say``, or nothing, about a Ctrl-C, and else what ``hook`` does."""
    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Tell an error as Python does, and an interruption in a sentence."""
        if not issubclass(kind, KeyboardInterrupt):
            hook(kind, error, trace)
        elif say is not None:
            sys.stderr.write(f"{say}\n")
    return show


@contextmanager
def raised_errors() -> Iterator[bool]:
    """A block in which Hydra leaves errors to those who called it; gives whether the user has asked for whole ones."""
    asked = os.environ.get(_FULL_ERROR)
    os.environ[_FULL_ERROR] = "1"
    try:
        yield bool(asked)
    finally:
        del os.environ[_FULL_ERROR]
        os.environ.update({_FULL_ERROR: asked} if asked else {})


def config_dir() -> str:
    """Folder of the configuration: inside the package in an installed wheel, beside it in a checkout."""
    package = Path(nas_reid.__file__).resolve().parent
    installed = package / "conf"
    return str(installed if installed.is_dir() else package.parent / "conf")


def _answer(command: str) -> bool:
    """Let Hydra answer from the files alone, without the types of their values; False where it could not compose them.

    What is wrong with the command line is said by those who know the types.
    """
    import hydra
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    from nas_reid.run.search_path import InstalledSpaces
    store = ConfigStore.instance()
    schemas = dict(store.repo)
    for file in Path(config_dir()).glob("*.yaml"):
        store.store(name=f"{file.stem}_schema", node={})
    Plugins.instance().register(InstalledSpaces)
    try:
        with raised_errors():
            hydra.main(version_base="1.3", config_path=config_dir(), config_name=command)(lambda _: None)()
    except Exception:
        return False
    finally:
        store.repo = schemas
    return True
