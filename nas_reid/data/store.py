"""Every image decoded once, into a memory-mapped array of bytes that later runs open in no time."""

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from nas_reid.data.decoding import decode
from nas_reid.data.sample import Sample, require_once
from nas_reid.data.store_file import StoredImages, checksums, open_images, write_end
from nas_reid.data.threads import map_in_order
from nas_reid.errors import ConfigError, DataError
from nas_reid.files import replacing
from nas_reid.files.leftovers import sweep
from nas_reid.files.making import sole_maker
from nas_reid.progress import progress

STORE_VERSION = 4
"""Enters the key; raise it whenever ``decode`` or the file's layout changes."""
_LISTED = 20

ON_CORRUPT = ("error", "skip")
"""What may be done about unreadable images."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ImageStore:
    """Decoded images and what is known about them.

    Args:
        images: uint8 [N, H, W, 3], RGB, backed by the file: pages are read when touched. Writes stay private. What is
            computed from comes from ``take``.
        samples: the N samples, in the order of ``images``.
        skipped: names of the samples left out because they could not be read.
        stored: the open file, which checks what is taken; None for images that are in memory alone.
    """

    images: Tensor
    samples: tuple[Sample, ...]
    skipped: frozenset[str] = frozenset()
    stored: StoredImages | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The N names: paths relative to the data set's root, and the box of a part of a picture."""
        return tuple(sample.name for sample in self.samples)

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
        names = (sample.name for sample in samples)
        return torch.tensor([self._row_of[name] for name in names if name not in self.skipped], dtype=torch.int64)

    def take(self, rows: Tensor, out: Tensor | None = None) -> Tensor:
        """Images [B, H, W, 3] at ``rows``, int64 [B], in ``out`` if given; as they were decoded, or not at all.

        Raises:
            DataError: see ``StoredImages.take``.
        """
        if self.stored is not None:
            return self.stored.take(rows, out)
        return torch.index_select(self.images, 0, rows, out=out)

    def __getitem__(self, row: int) -> Tensor:
        """One image [H, W, 3], see ``take``."""
        return self.take(torch.tensor([row]))[0]


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
    appears under its name only when complete; of several processes that want it one decodes, the others wait. Memory
    stays bounded.

    Args:
        dataset_root: folder that the sample paths are relative to.
        samples: the images, each once.
        image_size: (height, width) that all are resized to.
        cache_dir: folder of the store files; created when missing.
        workers: decoding threads, >= 1.
        on_corrupt: "error", or "skip" to leave unreadable images out with a warning.

    Raises:
        ConfigError: unknown ``on_corrupt``, or a size or ``workers`` below 1.
        DataError: no samples, an image twice, unreadable images, or a cache that cannot be written; nothing is left
            half-written.
    """
    if on_corrupt not in ON_CORRUPT:
        raise ConfigError(f"on_corrupt={on_corrupt!r} is unknown; choose 'error' or 'skip' (data.on_corrupt)")
    if min(*image_size, workers) < 1:
        raise ConfigError(f"image_size={image_size} and workers={workers} must be at least 1")
    if not samples:
        raise DataError(f"no images to store from {dataset_root}; the lists of samples are empty")
    require_once(samples, where=str(dataset_root))
    file = cache_dir / f"{_key(dataset_root, samples, image_size)}.images"
    sweep(cache_dir)
    store = _open(file, samples, image_size)
    if store is None or (store.skipped and on_corrupt == "error"):
        store = _make(file, dataset_root, samples, image_size=image_size, workers=workers, on_corrupt=on_corrupt)
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
        digest.update(os.fsencode(f"\0{sample.name}\0{state}"))
    return digest.hexdigest()


def _open(file: Path, samples: Sequence[Sample], image_size: tuple[int, int]) -> ImageStore | None:
    """The store in ``file``, or None when it is absent or damaged."""
    stored = open_images(file, len(samples), image_size)
    if stored is None or not stored.is_sound():
        return None
    kept = tuple(sample for sample, ok in zip(samples, stored.readable, strict=True) if ok)
    skipped = frozenset(sample.name for sample, ok in zip(samples, stored.readable, strict=True) if not ok)
    return ImageStore(stored.images, kept, skipped, stored)


def _make(file: Path, root: Path, samples: Sequence[Sample], *, image_size: tuple[int, int], workers: int,
          on_corrupt: str) -> ImageStore | None:
    """Decode ``samples`` into ``file`` and open it, unless another process does: then wait for that."""
    size = image_size[0] * image_size[1] * 3
    with _writing_to(file.parent), sole_maker(file, what=f"the decoded images of {root}", total=len(samples),
                                              unit="img", done=lambda path: path.stat().st_size // size):
        store = _open(file, samples, image_size)
        if store is None and file.exists():
            log.warning("the image store %s is damaged; its images are decoded again", file)
        if store is None or (store.skipped and on_corrupt == "error"):
            _require_space(file.parent, len(samples) * size)
            with replacing(file) as output:
                _decode_all(output, root, samples, image_size=image_size, workers=workers, on_corrupt=on_corrupt)
            store = _open(file, samples, image_size)
    return store


def _decode_all(output: BinaryIO, root: Path, samples: Sequence[Sample], *, image_size: tuple[int, int], workers: int,
                on_corrupt: str) -> None:
    """Write the content of a store. In sequence: a full disk is then an error, not a killed process."""
    def attempt(sample: Sample) -> np.ndarray | str:
        """Pixels of an image, or why it cannot be read."""
        try:
            return decode(root / sample.path, image_size, sample.box)
        except Exception as error:  # decoders raise anything on broken bytes
            return f"{sample.name}: {error or type(error).__name__}"

    failures, sums, readable = [], [], np.ones(len(samples), bool)
    results = map_in_order(attempt, samples, workers=workers, window=8 * workers)
    for row, result in enumerate(progress(results, description="decoding", total=len(samples), unit="img")):
        if isinstance(result, str):
            failures.append(result)
            readable[row] = False
        else:
            output.write(result)
            sums.append(checksums(torch.tensor(result)[None]))
    if failures and (on_corrupt == "error" or len(failures) == len(samples)):
        raise DataError(unreadable(failures, len(samples), root))
    write_end(output, readable, sums)


def unreadable(failures: Sequence[str], total: int, root: Path, *, keys: tuple[str, str] = ("data.root",
                                                                                            "data.on_corrupt")) -> str:
    """What is wrong with the images of a folder, and what to do.

    Args:
        failures: of each image that cannot be read, its path and why.
        total: images that were tried.
        root: the folder.
        keys: of the configuration, that name the folder and what to do about such images.
    """
    listed = "".join(f"\n  {failure}" for failure in failures[:_LISTED])
    more = f"\n  and {len(failures) - _LISTED:,} more" if len(failures) > _LISTED else ""
    way_out = (f"check {keys[0]}" if len(failures) == total
               else f"replace these files, or leave them out with {keys[1]}=skip")
    return f"{len(failures):,} of {total:,} images in {root} cannot be read; {way_out}{listed}{more}"


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """Turns errors of the cache's disk into one that tells a user what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot write decoded images to {folder}: {error.strerror}; "
                        "set data.cache (or NAS_REID_CACHE) to a writable folder with room") from None


def _require_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise DataError(f"{folder} has {_megabytes(free)} free and the decoded images need {_megabytes(size)}; make "
                        "room, or set data.cache (or NAS_REID_CACHE) to another disk")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.3f} MB" if size < 1e7 else f"{size / 1e6:,.0f} MB"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else "")
