"""An epoch of retraining as ``nas_reid.retrain`` runs it, against a plain PyTorch loop over a ``DataLoader``."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks.data import STANDARD
from benchmarks.measurement import Comparison, Setting
from benchmarks.own_process import in_own_process
from benchmarks.plain_loader import PillowImages, pillow_loader
from nas_reid.config.schemas import RetrainConfig
from nas_reid.data.augment import build_augment
from nas_reid.data.batches import TrainBatches
from nas_reid.data.readers import read_dataset
from nas_reid.data.sample import Sample, label_map
from nas_reid.data.sampler import IdentitySampler
from nas_reid.data.store import build_store
from nas_reid.data.synthetic import SyntheticSpec, generate
from nas_reid.losses.objective import build_objective
from nas_reid.network.execution import place
from nas_reid.network.model import ReIDNetwork, build_network
from nas_reid.registry import load_genotype
from nas_reid.retrain import build_parts
from nas_reid.run import compose
from nas_reid.training.epoch import train_one_epoch
from nas_reid.training.training import training_of

_WORKERS, _SIZE = 2, (256, 128)


@dataclass
class _Drawn:
    """Drawn pedestrians in batches, the same in every epoch.

    Args:
        root: of the files.
        samples: all of them.
        rows: int64 [batches, B], which of them.
        num_batches: in an epoch.
    """

    root: Path
    samples: Sequence[Sample]
    rows: Tensor
    num_batches: int

    @property
    def labels(self) -> Tensor:
        """Class of each sample, int64 [N]."""
        classes = label_map(self.samples)
        return torch.tensor([classes[sample.pid] for sample in self.samples])

    def epoch(self, epoch: int) -> Tensor:
        """The batches of any epoch, as of a sampler."""
        return self.rows


def training(setting: Setting) -> Iterator[Comparison]:
    """ResNet-50 by cross-entropy, triplets and Adam; flip, crop, erasing and normalisation in both."""
    logging.getLogger("nas_reid").setLevel(logging.WARNING)
    size, steps = (64, 8) if setting.paper else (16, 2)
    with TemporaryDirectory() as folder:
        root = generate(Path(folder), SyntheticSpec(size="tiny"), workers=_WORKERS)
        samples = read_dataset("market1501", root).train
        sampler = IdentitySampler(torch.tensor([sample.pid for sample in samples]), num_identities=size // 4,
                                  num_instances=4, seed=0)
        epochs = range(-(-steps // sampler.num_batches))
        rows = torch.cat([sampler.epoch(epoch) for epoch in epochs])[:steps]
        drawn = _Drawn(root, samples, rows, steps)
        yield Comparison(f"ResNet-50, {steps} steps on {size}×3×{_SIZE[0]}×{_SIZE[1]}", _ours(drawn, setting.device),
                         in_own_process(partial(_plain, drawn, setting.device)),
                         "a loop in PyTorch's default layout with its default Adam, memory returned to the system, "
                         f"Pillow per image in a DataLoader of {_WORKERS} processes", "≥ 1.2×", rounds=3,
                         plain_elsewhere=True)


def _ours(drawn: _Drawn, device: torch.device) -> Callable[[], object]:
    settings, network = _network(drawn, device)
    store = build_store(drawn.root, drawn.samples, image_size=_SIZE, cache_dir=drawn.root / "store", workers=_WORKERS,
                        on_corrupt="error")
    batches = TrainBatches(store, torch.arange(len(drawn.samples)), drawn.labels, drawn, build_augment(STANDARD),
                           seed=0, device=device)
    place(network, device, channels_last=settings.channels_last, precision=settings.precision)
    ours, epochs = training_of(settings, network, batches=len(batches)), count()
    return lambda: train_one_epoch(ours, batches, next(epochs), seed=0, name="bench")


def _plain(drawn: _Drawn, device: torch.device) -> Callable[[], object]:
    settings, network = _network(drawn, device)
    network.to(device).train()
    objective = build_objective(settings.objective, network.head)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.optimizer.lr,
                                 weight_decay=settings.optimizer.weight_decay)
    images = PillowImages([drawn.root / sample.path for sample in drawn.samples], drawn.labels.tolist(), size=_SIZE)
    loader = pillow_loader(images, drawn.rows.tolist(), workers=_WORKERS)

    def epoch() -> None:
        for pixels, labels in loader:
            loss, _ = objective(network(pixels.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def _network(drawn: _Drawn, device: torch.device) -> tuple[RetrainConfig, ReIDNetwork]:
    """The defaults of nas_reid.retrain, and a ResNet-50 with random weights."""
    settings = compose.settings("retrain", [
        "genotype=resnet/resnet50", "weights=null", f"data.image_size=[{_SIZE[0]},{_SIZE[1]}]", "epochs=1000"])
    torch.manual_seed(0)
    parts = build_parts(settings, load_genotype(settings.genotype), device)
    return settings, build_network(parts.trunk, len(label_map(drawn.samples)), **parts.head)
