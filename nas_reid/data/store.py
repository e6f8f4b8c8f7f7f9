"""Every image decoded once, into a memory-mapped array of bytes that later runs open in no time."""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from nas_reid.data.decoding import decode
from nas_reid.data.sample import Sample
from nas_reid.data.threads import map_in_order
from nas_reid.errors import ConfigError, DataError
from nas_reid.files import replacing
from nas_reid.progress import progress

STORE_VERSION = 1
"""Enters the key; raise it whenever ``decode`` or the file's layout changes."""
_LISTED = 20
_ABANDONED_AFTER_S = 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ImageStore:
    """Decoded images and what is known about them.

    Args:
        images: uint8 [N, H, W, 3], RGB, backed by the file: pages are read when touched. Writes stay private.
        samples: the N samples, in the order of ``images``.
        skipped: paths of the samples left out because they could not be read.
    """

    images: Tensor
    samples: tuple[Sample, ...]
    skipped: frozenset[str] = frozenset()

    @property
    def paths(self) -> tuple[str, ...]:
        """The N paths, relative to the data set's root."""
        return tuple(sample.path for sample in self.samples)

    @cached_property
    def pids(self) -> Tensor:
        """Identities as the data set numbers them, int64 [N]."""
        return torch.tensor([sample.pid for sample in self.samples])

    @cached_property
    def camids(self) -> Tensor:
        """Cameras, int64 [N]."""
        return torch.tensor([sample.camid for sample in self.samples])

    @cached_property
    def modalities(self) -> Tensor:
        """0 visible, 1 infrared; int64 [N]."""
        return torch.tensor([sample.modality for sample in self.samples])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self.paths)}

    def rows(self, samples: Sequence[Sample]) -> Tensor:
        """Where ``samples`` are in ``images``, int64 [n], without those that were skipped as unreadable.

        Raises:
            KeyError: a sample that the store was not built from.
        """
        kept = (sample.path for sample in samples if sample.path not in self.skipped)
        return torch.tensor([self._row_of[path] for path in kept], dtype=torch.int64)


def build_store(
    dataset_root: Path,
    samples: Sequence[Sample],
    *,
    image_size: tuple[int, int],
    cache_dir: Path,
    workers: int,
    on_corrupt: str,
) -> ImageStore:
    """Open the store of ``samples``, decoding them first when the cache does not hold it.

    The file is keyed by every image's path, size and time of change, by ``image_size`` and by ``STORE_VERSION``. It
    appears under its name only when complete, so several processes may build it at once; memory stays bounded.

    Args:
        dataset_root: folder that the sample paths are relative to.
        samples: the images, each once.
        image_size: (height, width) that all are resized to.
        cache_dir: folder of the store files; created when missing.
        workers: decoding threads, >= 1.
        on_corrupt: "error", or "skip" to leave unreadable images out with a warning.

    Raises:
        ConfigError: unknown ``on_corrupt``, or a size or ``workers`` below 1.
        DataError: no samples, unreadable images, or a cache that cannot be written; nothing half-written is left.
    """
    if on_corrupt not in ("error", "skip"):
        raise ConfigError(f"on_corrupt={on_corrupt!r} is unknown; choose 'error' or 'skip' (data.on_corrupt)")
    if min(*image_size, workers) < 1:
        raise ConfigError(f"image_size={image_size} and workers={workers} must be at least 1")
    if not samples:
        raise DataError(f"no images to store from {dataset_root}; the lists of samples are empty")
    file = cache_dir / f"{_key(dataset_root, samples, image_size)}.images"
    store = _open(file, samples, image_size)
    if store is None or (store.skipped and on_corrupt == "error"):
        _build(file, dataset_root, samples, image_size=image_size, workers=workers, on_corrupt=on_corrupt)
        store = _open(file, samples, image_size)
    if store is None:
        raise DataError(f"the image store {file} vanished or was damaged while it was opened; run again")
    if store.skipped:
        log.warning("left out %s unreadable images of %s: %s", f"{len(store.skipped):,}", dataset_root,
                    _some(sorted(store.skipped)))
    return store


def _key(root: Path, samples: Sequence[Sample], image_size: tuple[int, int]) -> str:
    digest = hashlib.blake2b(f"{STORE_VERSION} {image_size[0]} {image_size[1]}".encode(), digest_size=16)
    for sample in samples:
        try:
            status = os.stat(root / sample.path)
            state = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            state = "unreadable"  # listed with its reason when it is decoded
        digest.update(f"\0{sample.path}\0{state}".encode())
    return digest.hexdigest()


def _open(file: Path, samples: Sequence[Sample], image_size: tuple[int, int]) -> ImageStore | None:
    """The store in ``file``, or None when it is absent or not of the expected size.

    Layout: the readable images, then one byte per sample that tells whether it was readable.
    """
    try:
        content = np.memmap(file, np.uint8, mode="c")  # copy-on-write: torch wants writable memory, the file stays
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise DataError(f"cannot read the image store {file}: {error.strerror}") from None
    readable = content[-len(samples):].astype(bool)
    shape = (int(readable.sum()), *image_size, 3)
    if content.size != np.prod(shape) + len(samples):
        return None
    images = torch.from_numpy(content[:-len(samples)]).view(shape)
    kept = tuple(sample for sample, ok in zip(samples, readable, strict=True) if ok)
    skipped = frozenset(sample.path for sample, ok in zip(samples, readable, strict=True) if not ok)
    return ImageStore(images, kept, skipped)


def _build(
    file: Path, root: Path, samples: Sequence[Sample], *, image_size: tuple[int, int], workers: int, on_corrupt: str
) -> None:
    """Decode ``samples`` into ``file``. Written in sequence: a full disk is then an error, not a killed process."""
    def attempt(sample: Sample) -> np.ndarray | str:
        try:
            return decode(root / sample.path, image_size)
        except Exception as error:  # decoders raise anything on broken bytes
            return f"{sample.path}: {error or type(error).__name__}"

    failures = []
    readable = np.ones(len(samples), np.uint8)
    with _cache_file(file, len(samples) * image_size[0] * image_size[1] * 3) as output:
        results = map_in_order(attempt, samples, workers=workers, window=8 * workers)
        for row, result in enumerate(progress(results, description="decoding", total=len(samples), unit="img")):
            if isinstance(result, str):
                failures.append(result)
                readable[row] = 0
            else:
                output.write(result)
        if failures and (on_corrupt == "error" or len(failures) == len(samples)):
            raise DataError(_unreadable(failures, len(samples), root))
        output.write(readable)


def _unreadable(failures: Sequence[str], total: int, root: Path) -> str:
    listed = "".join(f"\n  {failure}" for failure in failures[:_LISTED])
    more = f"\n  and {len(failures) - _LISTED:,} more" if len(failures) > _LISTED else ""
    way_out = ("check data.root" if len(failures) == total
               else "replace these files, or leave them out with data.on_corrupt=skip")
    return f"{len(failures):,} of {total:,} images in {root} cannot be read; {way_out}{listed}{more}"


@contextmanager
def _cache_file(file: Path, size: int) -> Iterator[BinaryIO]:
    """``replacing(file)`` for about ``size`` bytes, with errors that tell a user what to do."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(file.parent)
        free = shutil.disk_usage(file.parent).free
        if free < size:
            raise DataError(f"{file.parent} has {free / 1e9:.1f} GB free and the decoded images need {size / 1e9:.1f} "
                            "GB; make room, or set data.cache (or NAS_REID_CACHE) to another disk")
        with replacing(file) as output:
            yield output
    except OSError as error:
        raise DataError(f"cannot write decoded images to {file.parent}: {error.strerror}; "
                        "set data.cache (or NAS_REID_CACHE) to a writable folder with room") from None


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left of any store; a living one writes to its file all the time."""
    for leftover in folder.glob(".*.images.*"):
        with suppress(FileNotFoundError):  # another process may be faster
            if time.time() - leftover.stat().st_mtime > _ABANDONED_AFTER_S:
                leftover.unlink()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else "")
