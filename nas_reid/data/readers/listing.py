"""Looking into the folders of a data set: finding them, reading names, and saying what is there instead."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from nas_reid.data.formats import is_image, left_out
from nas_reid.data.sample import Sample
from nas_reid.errors import DataError, some

log = logging.getLogger(__name__)


def find(root: Path, wanted: Sequence[str], *, inside: str) -> Path | None:
    """The folder that holds every entry of ``wanted``: ``root``, or ``root`` and an end of ``inside``.

    With ``inside="viper/VIPeR"`` these are ``root``, ``root/VIPeR`` and ``root/viper/VIPeR``, so that a user may name
    the innermost folder, or the one with all data sets.
    """
    parts = PurePosixPath(inside).parts
    for base in (root.joinpath(*parts[start:]) for start in range(len(parts), -1, -1)):
        if all((base / entry).exists() for entry in wanted):
            return base
    return None


def locate(reader: str, root: Path, wanted: Sequence[str], *, inside: str) -> Path:
    """As ``find``.

    Raises:
        DataError: no such folder; the message shows what was expected and what is there.
    """
    if (base := find(root, wanted, inside=inside)) is not None:
        return base
    what = "lacks some of them" if root.is_dir() else "is not a folder"
    raise DataError(f"reader {reader!r} expects {', '.join(wanted)} in data.root or in {inside} below it; "
                    f"data.root={root} {what}\n  found: {found(root)}\n  set data.root= to the folder that holds them")


def named_images(base: Path, folder: str, pattern: re.Pattern[str], *,
                 example: str) -> list[tuple[str, re.Match[str]]]:
    """The images of ``base/folder`` as (path relative to ``base``, match of the name's beginning), sorted.

    What else the folder holds is logged.

    Raises:
        DataError: there is no image, or one whose name does not begin like ``example``.
    """
    listed = entries(base / folder)
    names = [name for name in listed if is_image(name)]
    matches = [(f"{folder}/{name}", pattern.match(name)) for name in names]
    if not names:
        raise DataError(f"{base / folder} holds no image; expected images named like {example}\n"
                        f"  found: {found(base / folder)}")
    if unnamed := [path for path, match in matches if match is None]:
        raise DataError(f"{base}: {len(unnamed):,} images are not named like {example}: {some(unnamed)}; "
                        "move them away, or choose the reader of this layout (data.reader)")
    warn_left_out(base / folder, listed)
    return [(path, match) for path, match in matches if match is not None]


def warn_left_out(folder: Path, paths: Sequence[str]) -> None:
    """Log what is no image among the entries found below a folder; see ``left_out``."""
    if others := left_out(folder, paths):
        log.warning("%s: %s", folder, others)


def require_images(base: Path, samples: Sequence[Sample], *, listed_in: str) -> None:
    """Check that the images which a split file lists are there; see ``absent_images``.

    Raises:
        DataError: some are not.
    """
    if absent := absent_images(base, samples):
        raise DataError(f"{base / listed_in} lists {len(samples):,} images, of which {len(absent):,} are not below "
                        f"{base}: {some(absent)}; put them back, or fetch a complete copy of the data set")


def absent_images(base: Path, samples: Sequence[Sample]) -> list[str]:
    """Paths of the samples whose images are not below ``base``; each folder is listed once.

    Raises:
        DataError: a folder cannot be listed.
    """
    folders: dict[str, frozenset[str]] = {}
    absent = []
    for sample in samples:
        parent, _, name = sample.path.rpartition("/")
        if (found := folders.get(parent)) is None:
            folder = base / (parent or ("/" if sample.path.startswith("/") else ""))
            found = folders[parent] = frozenset(entries(folder)) if folder.is_dir() else frozenset()
        if name not in found:
            absent.append(sample.path)
    return absent


def entries(folder: Path) -> list[str]:
    """Sorted names of what a folder holds.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror}; check data.root and its permissions") from None


def found(folder: Path) -> str:
    """What is at ``folder``, or at its nearest parent that exists, in words."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    names = entries(folder)
    return f"{folder} with {len(names):,} entries: {some(names)}" if names else f"{folder}, which is empty"
