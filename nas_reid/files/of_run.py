"""The file that is meant where a person names the folder of a run."""

from pathlib import Path

from nas_reid.files.foreign import user_path

CHECKPOINTS = ("checkpoints/best.pt", "checkpoints/last.pt", "best.pt", "last.pt")
"""Where a run, or its folder of checkpoints, keeps weights: the chosen ones, else (of a search) the latest."""


def file_of_run(path: str | Path, names: tuple[str, ...] = CHECKPOINTS) -> Path:
    """The first of ``names`` that is in the folder ``path``; ``path`` itself where it is no folder or has none.

    Args:
        path: a file, or the folder of a run; ``~`` is the home folder.
        names: relative to the folder, the likeliest first.
    """
    path = user_path(path)
    return next((path / name for name in names if (path / name).is_file()), path)
