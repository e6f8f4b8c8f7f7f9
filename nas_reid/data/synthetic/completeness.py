"""Whether a drawn data set still is what was drawn: every file there, none added, none changed."""

import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from nas_reid.data.layout import SYNTHETIC_CARD

FILES = "files.txt"
"""One line for each file: CRC-32 and size in bytes, both hexadecimal, and the path below the folder."""
_SAMPLED = 16  # one file in so many is read although nothing speaks against it


def seal(folder: Path) -> int:
    """Write the list of all files of a folder that is otherwise complete but for its card; returns its CRC-32."""
    lines = []
    for path in _files(folder):
        content = (folder / path).read_bytes()
        lines.append(f"{zlib.crc32(content):08x} {len(content):x} {path}\n")
    text = "".join(lines).encode()
    (folder / FILES).write_bytes(text)
    return zlib.crc32(text)


def damage(folder: Path) -> str | None:
    """What has happened to a drawn data set since it was sealed, in words; None if nothing is found.

    Names and sizes of all files are compared. The bytes are compared of files that changed after the card was written,
    and of every sixteenth file, which are others each time.
    """
    card = folder / SYNTHETIC_CARD
    try:
        text, sealed = (folder / FILES).read_bytes(), card.stat().st_mtime_ns
        if zlib.crc32(text) != json.loads(card.read_bytes())["files"]:
            return f"{FILES} was changed"
        listed = {path: (int(crc, 16), int(size, 16)) for crc, size, path in
                  (line.split(" ", 2) for line in text.decode().splitlines())}
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its {SYNTHETIC_CARD} or {FILES} is missing or unreadable: {type(error).__name__}"
    found = set(_files(folder))
    if absent := sorted(listed.keys() - found):
        return f"{len(absent)} of {len(listed)} files are missing, such as {absent[0]}"
    if added := sorted(found - listed.keys()):
        return f"{len(added)} files were added, such as {added[0]}"
    phase = time.time_ns() % _SAMPLED
    for number, (path, (crc, size)) in enumerate(sorted(listed.items())):
        try:
            status = (folder / path).stat()
            suspect = number % _SAMPLED == phase or status.st_mtime_ns > sealed
            if status.st_size != size or (suspect and zlib.crc32((folder / path).read_bytes()) != crc):
                return f"{path} was changed"
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
    return None


def _files(folder: Path) -> Iterator[str]:
    """Paths below the folder of what was drawn, sorted; what other programs hide there does not count."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in (SYNTHETIC_CARD, FILES) and not path.name.startswith("."):
            yield path.relative_to(folder).as_posix()
