"""Folders on a command line as a shell gives them, turned into the override that Hydra reads."""

from collections.abc import Sequence
from pathlib import Path

from nas_reid.run.command_line import override

_WITH_VALUE = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p",
               "--experimental-rerun")


def folders_as_runs(arguments: Sequence[str]) -> list[str]:
    """``runs=[A,B]`` in place of the arguments that are neither overrides nor options.

    Args:
        arguments: of a command line, without the program. One with ``=`` is a folder if there is one of that name.
    """
    kept, folders = list[str](), list[str]()
    for before, argument in zip(("", *arguments), arguments, strict=False):
        is_value = before in _WITH_VALUE or argument.startswith("-")
        is_folder = not is_value and ("=" not in argument or Path(argument).is_dir())
        (folders if is_folder else kept).append(argument)
    return [*kept, override("runs", folders)] if folders else kept
