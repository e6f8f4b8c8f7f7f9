"""Paths whose accents are spelt otherwise in the folder than in the table, as macOS and Windows do."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from nas_reid.data.readers.listing import entries


def as_the_folder_spells(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Path -> what is there under another normal form of Unicode (NFC, NFD); without those of which nothing is.

    Args:
        root: that the paths are relative to.
        paths: POSIX, at which nothing is.

    Raises:
        DataError: a folder cannot be listed.
    """
    known: dict[str, dict[str, str]] = {}

    def names(folder: str) -> dict[str, str]:
        """What a folder holds, by its composed spelling."""
        if folder not in known:
            listed = entries(root / folder) if (root / folder).is_dir() else []
            known[folder] = {_composed(name): name for name in listed}
        return known[folder]

    found = {}
    for path in paths:
        there = ""
        for part in path.split("/"):
            name = names(there).get(_composed(part))
            there = f"{there}/{name}".lstrip("/") if name else ""
            if not name:
                break
        if there:
            found[path] = there
    return found


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
