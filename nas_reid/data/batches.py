"""Batches on a device: augmented P x K batches to train on, plain ones to evaluate on.

A training batch is a pure function of (seed, epoch, step). A run that continues at any step hence sees what it would
have seen, and there is no iterator state to save. Several processes share the batch that one would have.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Generator, Tensor

from nas_reid.data.augment import Augment, augment_own_part
from nas_reid.data.image_source import ImageSource
from nas_reid.data.normalise import normalise
from nas_reid.data.store import ImageStore
from nas_reid.data.threads import Results, map_in_order
from nas_reid.parallel.tensors import own_part
from nas_reid.seed import derive_seed

_Item = TypeVar("_Item")
_Loaded = TypeVar("_Loaded")


class Batch(NamedTuple):
    """A batch to train on.

    Attributes:
        images: float32 [B, 3, H, W], normalised, channels_last.
        labels: int64 [B], classes of the classifier.
        modalities: int64 [B], 0 visible, 1 infrared; on the host, since layers that treat them apart slice by their
            numbers.
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
    """Augmented batches, by step or as a stream that is loaded ahead.

    Args:
        store: holds the images.
        indices: int64 [n], rows of ``store`` to draw from.
        labels: int64 [n], their classes.
        sampler: over ``labels``.
        augment: of uint8 [B, H, W, 3].
        seed: of the augmentation; give each purpose its own.
        device: where batches are made.
        resident: keep the images on the device; None: where they fit, see ``ImageSource``.

    Raises:
        ValueError: ``indices`` and ``labels`` differ in length.
    """

    def __init__(self, store: ImageStore, indices: Tensor, labels: Tensor, sampler: Sampler,
                 augment: Augment, *, seed: int, device: torch.device | str,
                 resident: bool | None = None) -> None:
        if len(indices) != len(labels):
            raise ValueError(f"{len(indices)} images and {len(labels)} labels; expected one label for each image")
        self.device, self.seed = torch.device(device), seed
        self.waited_s = 0.0
        self._source = ImageSource(store, indices, device=self.device, resident=resident)
        self._labels = labels.to(self.device)
        self.modalities = store.modalities[indices]
        self._sampler, self._augment = sampler, augment
        self._tables: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._sampler.num_batches

    def load(self, epoch: int, step: int) -> Batch:
        """Batch ``step`` of ``epoch``, both counted from 0; of several processes, this one's part of it."""
        on_host, on_device = (table[step] for table in self._table(epoch))
        generator = Generator(self.device).manual_seed(derive_seed(self.seed, "augment", epoch, step))
        images = augment_own_part(self._augment, lambda rows: self._source.gather(on_host[rows], on_device[rows]),
                                  generator, len(on_host))
        return Batch(images, self._labels[own_part(on_device)], self.modalities[own_part(on_host)])

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of ``epoch`` from step ``start`` on; see ``stream``."""
        return self.stream(epoch * len(self) + start, len(self) - start)

    def stream(self, first: int, count: int) -> Iterator[Batch]:
        """``count`` batches of the endless sequence of epochs, from its batch ``first`` on.

        Threads load ahead; ``waited_s`` adds up the seconds for which the consumer waited all the same.
        """
        steps = (divmod(index, len(self)) for index in range(first, first + count))
        with closing(_load_ahead(lambda step: self.load(*step), steps, device=self.device)) as batches:
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


class Waits(Protocol):
    """What batches are drawn from: ``waited_s`` adds up the seconds for which the consumer waited."""

    waited_s: float


class BatchStream(Waits, Protocol):
    """What a search draws its batches from, such as ``TrainBatches``."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def stream(self, first: int, count: int) -> Iterator[Batch]:
        """``count`` batches of the endless sequence of epochs, from its batch ``first`` on."""


class LoadShare:
    """The share of the time since its making for which steps waited for batches, in [0, 1]; call it to know.

    Args:
        batches: what the steps draw from.
    """

    def __init__(self, batches: Sequence[Waits]) -> None:
        self._batches = tuple(batches)
        self._waited, self._began = self._total(), time.perf_counter()

    def __call__(self) -> float:
        """The share until now."""
        return (self._total() - self._waited) / max(time.perf_counter() - self._began, 1e-9)

    def _total(self) -> float:
        return sum(part.waited_s for part in self._batches)


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
        """The batches, loaded ahead by threads."""
        return _load_ahead(self._load, self._parts(), device=self.device)

    def own(self) -> Iterator[EvalBatch]:
        """Those of the batches, consecutive ones, that are this process's to run; all of them for a single process."""
        return _load_ahead(self._load, own_part(self._parts()), device=self.device)

    def _parts(self) -> Sequence[Tensor]:
        count = len(self.pids)
        return torch.arange(count).tensor_split(len(self)) if count else ()

    def _load(self, positions: Tensor) -> EvalBatch:
        images = normalise(self._source.gather(positions, positions))
        return EvalBatch(images, self.modalities[positions])


def _load_ahead(load: Callable[[_Item], _Loaded], items: Iterable[_Item], *, device: torch.device) -> Results[_Loaded]:
    """``load`` of each item in order: one batch ahead for a GPU, which does the work; two on two threads of a CPU.

    These threads compute on one core each. Torch's parallel operations wait for one another, and where the network
    keeps all cores busy, as it does on a CPU, batches of them take many times as long.
    """
    def begin() -> None:
        """Prepare a thread: one core, and the GPU of ``device``."""
        torch.set_num_threads(1)
        if device.type == "cuda":
            torch.cuda.set_device(device)  # that of a new thread is the first, which pinned memory would wake

    # Asked here, as torch settles a thread's number at its first use, by what any thread has set before.
    workers = 1 if device.type == "cuda" else min(2, torch.get_num_threads())
    return map_in_order(load, items, workers=workers, window=workers + 1,
                        initializer=begin)
