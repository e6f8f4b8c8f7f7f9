"""Batches on a device: augmented P x K batches to train on, plain ones to evaluate on.

A training batch is a pure function of (seed, epoch, step). A run that continues at any step hence sees what it would
have seen, and there is no iterator state to save.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from nas_reid.data.image_source import ImageSource
from nas_reid.data.normalise import normalise
from nas_reid.data.store import ImageStore
from nas_reid.data.threads import map_in_order
from nas_reid.seed import derive_seed


class Batch(NamedTuple):
    """A batch to train on.

    Attributes:
        images: float32 [B, 3, H, W], normalised, channels_last.
        labels: int64 [B], classes of the classifier.
        modalities: int64 [B], 0 visible, 1 infrared.
    """

    images: Tensor
    labels: Tensor
    modalities: Tensor


class EvalBatch(NamedTuple):
    """A batch to extract features from: ``images`` and ``modalities`` as in ``Batch``."""

    images: Tensor
    modalities: Tensor


class Sampler(Protocol):
    """What decides which images form a batch; pure in (its seed, epoch)."""

    num_batches: int

    def epoch(self, epoch: int) -> Tensor:
        """The batches of an epoch, int64 [num_batches, B]: indices into the labels."""
        ...


class TrainBatches:
    """Augmented batches, by step or as a stream that is loaded one batch ahead.

    Args:
        store: holds the images.
        indices: int64 [n], rows of ``store`` to draw from.
        labels: int64 [n], their classes.
        sampler: over ``labels``.
        augment: (uint8 [B, H, W, 3], generator) -> float32 [B, 3, H, W].
        seed: of the augmentation; give each rank and each purpose its own.
        device: where batches are made.
        resident: keep the images on the device; None: where they fit, see ``ImageSource``.

    Raises:
        ValueError: ``indices`` and ``labels`` differ in length.
    """

    def __init__(self, store: ImageStore, indices: Tensor, labels: Tensor, sampler: Sampler,
                 augment: Callable[[Tensor, Generator], Tensor], *, seed: int, device: torch.device | str,
                 resident: bool | None = None) -> None:
        if len(indices) != len(labels):
            raise ValueError(f"{len(indices)} images and {len(labels)} labels; expected one label for each image")
        self.device, self.seed = torch.device(device), seed
        self.waited_s = 0.0
        self._source = ImageSource(store, indices, device=self.device, resident=resident)
        self._labels = labels.to(self.device)
        self._modalities = store.modalities[indices].to(self.device)
        self._sampler, self._augment = sampler, augment
        self._tables: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._sampler.num_batches

    def load(self, epoch: int, step: int) -> Batch:
        """Batch ``step`` of ``epoch``, both counted from 0."""
        on_host, on_device = (table[step] for table in self._table(epoch))
        images = self._source.gather(on_host, on_device)
        generator = Generator(self.device).manual_seed(derive_seed(self.seed, "augment", epoch, step))
        return Batch(self._augment(images, generator), self._labels[on_device], self._modalities[on_device])

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of ``epoch`` from step ``start`` on; see ``stream``."""
        return self.stream(epoch * len(self) + start, len(self) - start)

    def stream(self, first: int, count: int) -> Iterator[Batch]:
        """``count`` batches of the endless sequence of epochs, from its batch ``first`` on.

        A thread loads one batch ahead; ``waited_s`` adds up the seconds for which the consumer waited all the same.
        """
        steps = (divmod(index, len(self)) for index in range(first, first + count))
        with closing(map_in_order(lambda step: self.load(*step), steps, workers=1, window=2)) as batches:
            for _ in range(count):
                began = time.perf_counter()
                batch = next(batches)
                self.waited_s += time.perf_counter() - began
                yield batch

    def _table(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The sampler's batches of ``epoch`` on the host and on the device; the last one asked for is kept."""
        tables = self._tables.get(epoch)
        if tables is None:
            table = self._sampler.epoch(epoch)
            tables = table, table.to(self.device)
            self._tables = {epoch: tables}
        return tables


class EvalBatches:
    """Images in their order, normalised, not augmented. Can be iterated again.

    Sizes of batches differ by one at most: a supernet normalises with the statistics of the batch, which a last batch
    of a single image does not have.

    Args:
        store: holds the images.
        indices: int64 [n], rows of ``store``.
        batch_size: most images in a batch, >= 1.
        device: where batches are made.

    ``pids``, ``camids`` and ``modalities`` are those of the images, int64 [n].
    """

    def __init__(self, store: ImageStore, indices: Tensor, *, batch_size: int, device: torch.device | str) -> None:
        self.pids, self.camids, self.modalities = (
            values[indices] for values in (store.pids, store.camids, store.modalities))
        self.batch_size, self.device = batch_size, torch.device(device)
        self._source = ImageSource(store, indices, device=self.device, resident=False)

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self.pids) // self.batch_size)

    def __iter__(self) -> Iterator[EvalBatch]:
        """The batches; a thread loads one ahead."""
        count = len(self.pids)
        parts = torch.arange(count).tensor_split(len(self)) if count else ()
        return map_in_order(self._load, parts, workers=1, window=2)

    def _load(self, positions: Tensor) -> EvalBatch:
        images = normalise(self._source.gather(positions, positions))
        return EvalBatch(images, self.modalities[positions].to(self.device))
