"""Batches of a classification data set, decoded from the files as they are needed.

Nothing is stored: a crop comes from the whole image, and memory holds a few batches, whatever the size of the data set.
Batches are made by threads; a training batch is a pure function of (seed, epoch, step), as everywhere.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from nas_reid.data.augment import Augment, augment_own_part
from nas_reid.data.batches import Batch
from nas_reid.data.class_images import LabelledImages
from nas_reid.data.crops import centre_crop, draw_crops, random_crop
from nas_reid.data.decoding import Box, decode_box
from nas_reid.data.normalise import normalise
from nas_reid.data.threads import Results, map_in_order
from nas_reid.errors import DataError
from nas_reid.parallel.tensors import own_part
from nas_reid.seed import derive_seed


class RandomCropBatches:
    """Shuffled batches of random crops, augmented. What does not fill a batch waits for another epoch.

    Args:
        images: to draw from.
        batch_size: B, of all processes together; each one's part is as large as the others'.
        image_size: (height, width) of the crops.
        scale, ratio: see ``random_crop``.
        augment: of uint8 [B, H, W, 3].
        seed: of order, crops and augmentation.
        device: where batches are wanted.
        workers: threads.

    ``waited_s`` adds up the seconds for which the consumer waited.

    Raises:
        DataError: fewer images than B.
    """

    def __init__(self, images: LabelledImages, *, batch_size: int, image_size: tuple[int, int], scale: Sequence[float],
                 ratio: Sequence[float], augment: Augment, seed: int, device: torch.device, workers: int) -> None:
        if len(images.paths) < batch_size:
            raise DataError(f"a batch needs {batch_size} images and {images.root} has {len(images.paths)} to train on; "
                            "lower batch_size")
        self.images, self.batch_size, self.image_size = images, batch_size, image_size
        self.device, self.seed, self.workers, self.waited_s = device, seed, workers, 0.0
        self._augment = augment
        self._crop = partial(random_crop, scale=scale, ratio=ratio, aspect=image_size[1] / image_size[0])

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.images.paths) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of ``epoch``, counted from 0.

        Raises:
            DataError: an image cannot be read; the message names it.
        """
        order = torch.randperm(len(self.images.paths), generator=self._generator("order", epoch))
        steps = enumerate(order.split(self.batch_size)[:len(self)])
        with closing(_on_threads(lambda item: self._load(epoch, *item), steps, workers=self.workers)) as batches:
            for _ in range(len(self)):
                began = time.perf_counter()
                batch = next(batches)
                self.waited_s += time.perf_counter() - began
                yield batch

    def _load(self, epoch: int, step: int, rows: Tensor) -> Batch:
        numbers = draw_crops(len(rows), self._generator("crop", epoch, step)).tolist()

        def gather(part: slice) -> Tensor:
            """Crops of a part of the batch, uint8 [n, H, W, 3]."""
            boxes = [partial(self._crop, numbers=row) for row in numbers[part]]
            return _decode(self.images, rows[part], boxes, self.image_size).to(self.device)

        generator = Generator(self.device).manual_seed(derive_seed(self.seed, "augment", epoch, step))
        labels = self.images.labels[own_part(rows)].to(self.device)
        return Batch(augment_own_part(self._augment, gather, generator, len(rows)), labels, torch.zeros_like(labels))

    def _generator(self, *purpose: int | str) -> Generator:
        return Generator().manual_seed(derive_seed(self.seed, *purpose))


class CentreCropBatches:
    """Centre crops in their order, normalised, not augmented. Can be iterated again.

    Args:
        images: all of them are in the batches.
        batch_size: most images in a batch.
        image_size: (height, width) of the crops.
        centre: see ``centre_crop``.
        device: where batches are wanted.
        workers: threads.
    """

    def __init__(self, images: LabelledImages, *, batch_size: int, image_size: tuple[int, int], centre: float,
                 device: torch.device, workers: int) -> None:
        self.images, self.batch_size, self.image_size = images, batch_size, image_size
        self.device, self.workers = device, workers
        self._crop = partial(centre_crop, centre=centre, aspect=image_size[1] / image_size[0])

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.images.paths) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """The batches, see ``RandomCropBatches.epoch`` for the error."""
        return _on_threads(self._load, self._parts(), workers=self.workers)

    def own(self) -> Iterator[Batch]:
        """Those of the batches that are this process's to run; all of them for a single process."""
        return _on_threads(self._load, own_part(self._parts()), workers=self.workers)

    def _parts(self) -> Sequence[Tensor]:
        return torch.arange(len(self.images.paths)).split(self.batch_size)

    def _load(self, rows: Tensor) -> Batch:
        pixels = _decode(self.images, rows, [self._crop] * len(rows), self.image_size).to(self.device)
        labels = self.images.labels[rows].to(self.device)
        return Batch(normalise(pixels), labels, torch.zeros_like(labels))


def _on_threads(load: Callable[[Any], Batch], items: Iterable[Any], *, workers: int) -> Results[Batch]:
    # Each thread computes on one core: they would otherwise all wait for each other's parallel operations.
    return map_in_order(load, items, workers=workers, window=workers + 1, initializer=lambda: torch.set_num_threads(1))


def _decode(images: LabelledImages, rows: Tensor, boxes: Sequence[Callable[[int, int], Box]],
            image_size: tuple[int, int]) -> Tensor:
    """Crops as uint8 [n, H, W, 3]."""
    pixels = np.empty((len(rows), *image_size, 3), np.uint8)
    for position, (row, box) in enumerate(zip(rows.tolist(), boxes, strict=True)):
        pixels[position] = _read(images.root / images.paths[row], box, image_size)
    return torch.from_numpy(pixels)


def _read(path: Path, box: Callable[[int, int], Box], image_size: tuple[int, int]) -> np.ndarray:
    try:
        return decode_box(path, box, image_size)
    except Exception as error:  # a broken file can make a decoder raise anything
        raise DataError(f"cannot read the image {path}: {error}; replace or remove the file, then repeat the command: "
                        "a run continues from its last checkpoint") from error
