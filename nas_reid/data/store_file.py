"""The file of an image store: decoded images, and checksums that tell when it is not what was written."""

import mmap
import time
import zlib
from collections.abc import Sequence
from math import gcd
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.errors import DataError

_SMALL = 16 << 20  # bytes of images that are all compared when a file is opened: some thousandths of a second
_SHARE = 16  # of a larger file one image in so many is, but
_MOST = 64 << 20  # no more bytes than this
_WORD = 8  # bytes
_FACTOR = 0x9E3779B97F4A7C15 - 2**64  # odd, and no pattern in its bits
_BATCH = 64  # images are compared at once
_PARTS = 64  # of an image, each with a factor of its own: what was moved within an image changes its sum


class StoredImages:
    """The open file. Its images are compared with their checksums some at opening, the others at their first use.

    Args:
        file: its path, for messages.
        mapping: its content.
        images: uint8 [n, H, W, 3], a view of the mapping. Writes stay private to the process.
        readable: bool [N], which of the samples that it was made from are in ``images``.
        sums: int64 [n] of ``checksums``.
    """

    def __init__(self, file: Path, mapping: mmap.mmap, images: Tensor, readable: np.ndarray, sums: Tensor) -> None:
        self.images, self.readable = images, readable
        self._file, self._mapping, self._sums = file, mapping, sums
        self._unchecked = torch.ones(len(sums), dtype=torch.bool)

    def take(self, rows: Tensor, out: Tensor | None = None) -> Tensor:
        """Images [B, H, W, 3] at ``rows``, in ``out`` if given.

        Raises:
            DataError: the file was changed or truncated since it was written; it is removed, so that the images are
                decoded again by the next command.
        """
        if self._mapping.size() < len(self._mapping):  # touching what is gone would kill the process (SIGBUS)
            raise self._refusal("was truncated")
        images = torch.index_select(self.images, 0, rows, out=out)
        pending = self._unchecked[rows]
        if pending.any():
            fresh = images if pending.all() else images.index_select(0, pending.nonzero().squeeze(1))
            if not torch.equal(checksums(fresh), self._sums[rows[pending]]):
                raise self._refusal("was damaged")
            self._unchecked[rows] = False
        return images

    def is_sound(self) -> bool:
        """Whether images have their checksums: all of a small file; of a large one some, others each time."""
        size = self.images.numel()
        step = min(1 if size <= _SMALL else max(_SHARE, -(-size // _MOST)), len(self._sums))
        rows = torch.arange(time.time_ns() % step, len(self._sums), step)
        sound = all(torch.equal(checksums(self.images.index_select(0, part)), self._sums[part])
                    for part in rows.split(_BATCH))
        self._unchecked[rows] = False
        return sound

    def _refusal(self, what: str) -> DataError:
        self._file.unlink(missing_ok=True)
        return DataError(f"the image store {self._file} {what} while it was in use, and is removed. Repeat the "
                         "command: the images are decoded again, and a run continues from its last checkpoint")


def write_end(output: BinaryIO, readable: np.ndarray, sums: Sequence[Tensor]) -> None:
    """Write what follows the images.

    Args:
        output: the file, to which every readable image was written.
        readable: bool [N].
        sums: n tensors of ``checksums`` of one image, at least one.
    """
    end = readable.astype(np.uint8).tobytes() + torch.cat(list(sums)).numpy().tobytes()
    output.write(end + zlib.crc32(end).to_bytes(4, "little"))


def open_images(file: Path, count: int, image_size: tuple[int, int]) -> StoredImages | None:
    """The images of a file, or None if it is absent, or not as it was written as far as size and end tell.

    Layout: the readable images, one byte per sample that tells whether it was readable, a checksum of each image, and
    one of these last two.

    Args:
        file: written by the steps of ``write_end``.
        count: N samples.
        image_size: (height, width) of the images.

    Raises:
        DataError: the file is there and cannot be read.
    """
    try:
        with file.open("rb") as opened:
            mapping = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)  # torch wants writable memory
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: an empty file
        return None
    except OSError as error:
        raise DataError(f"cannot read the image store {file}: {error.strerror}") from None
    content, size = np.frombuffer(mapping, np.uint8), image_size[0] * image_size[1] * 3
    stored, rest = divmod(len(content) - count - 4, size + _WORD)
    if rest or stored < 1:
        return None
    end = content[stored * size:-4]
    readable = end[:count].astype(bool)
    if zlib.crc32(end.data) != int.from_bytes(content[-4:].tobytes(), "little") or readable.sum() != stored:
        return None
    images = torch.from_numpy(content[:stored * size]).view(stored, *image_size, 3)
    sums = torch.from_numpy(np.frombuffer(end[count:].tobytes(), np.int64).copy())
    return StoredImages(file, mapping, images, readable, sums)


def checksums(images: Tensor) -> Tensor:
    """One number for each image: the sum of its 64-bit words, each times an odd factor of its part of the image.

    Any other bytes at random have the same with a probability of 2**-64. It costs about as much as adding the words.

    Args:
        images: uint8 [n, ...].

    Returns:
        int64 [n].
    """
    flat = images.flatten(1)
    if missing := -flat.shape[1] % _WORD:
        flat = functional.pad(flat, (0, missing))
    words = flat.contiguous().view(torch.int64)
    parts = words.view(len(words), gcd(words.shape[1], _PARTS), -1).sum(2)  # integers wrap around
    return (parts * (torch.arange(1, 2 * parts.shape[1], 2) * _FACTOR)).sum(1)
