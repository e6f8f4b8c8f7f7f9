"""Every picture reaches the disk here: as a whole PNG, or with a clear error."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from nas_reid.errors import NasReidError
from nas_reid.files import write_atomically


def write_picture(path: Path, encode: Callable[[BytesIO], object]) -> None:
    """Let ``encode`` write the PNG into memory, then put the file in place.

    Raises:
        NasReidError: the folder cannot be written or the disk is full.
    """
    buffer = BytesIO()
    encode(buffer)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise NasReidError(f"cannot write the picture {path} ({error.strerror or error}); "
                           "free some disk space or choose a writable output folder") from error
