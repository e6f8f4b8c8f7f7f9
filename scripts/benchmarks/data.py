"""Training batches from the decode-once store against a Pillow-per-image loader; decoding them once is apart."""

import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.measurement import Comparison, Setting
from benchmarks.plain_loader import PillowImages, pillow_loader
from nas_reid.data.augment import build_augment
from nas_reid.data.batches import TrainBatches
from nas_reid.data.readers import read_dataset
from nas_reid.data.sample import label_map
from nas_reid.data.sampler import IdentitySampler
from nas_reid.data.store import build_store
from nas_reid.data.synthetic import SyntheticSpec, generate

_SIZE = (256, 128)
_WORKERS = 2
STANDARD: dict[str, dict[str, Any]] = {"flip": {"p": 0.5}, "crop": {"padding": 4},
                                       "erase": {"p": 0.5, "area": [0.02, 0.4], "aspect": 0.3}}


def data(setting: Setting) -> Iterator[Comparison]:
    """Some epochs of P x K batches from drawn pedestrians, JPEG files of 128 x 64 pixels as in Market-1501."""
    logging.getLogger("nas_reid").setLevel(logging.WARNING)
    num_batches = 96 if setting.paper else 24
    with TemporaryDirectory() as folder:
        root = generate(Path(folder), SyntheticSpec(size="tiny"), workers=_WORKERS)
        samples = read_dataset("market1501", root).train
        store = build_store(root, samples, image_size=_SIZE, cache_dir=Path(folder) / "store", workers=_WORKERS,
                            on_corrupt="error")
        classes = label_map(samples)
        labels = torch.tensor([classes[sample.pid] for sample in samples])
        sampler = IdentitySampler(labels, num_identities=16, num_instances=4, seed=0)
        ours = TrainBatches(store, torch.arange(len(samples)), labels, sampler, build_augment(STANDARD), seed=0,
                            device=setting.device)
        epochs = range(-(-num_batches // sampler.num_batches))
        rows = torch.cat([sampler.epoch(epoch) for epoch in epochs])[:num_batches]
        files = PillowImages([root / sample.path for sample in samples], labels.tolist(), size=_SIZE)
        loader = pillow_loader(files, rows.tolist(), workers=_WORKERS)

        def consume_plain() -> None:
            for images, _ in loader:
                images.to(setting.device)

        def consume_ours() -> None:
            for _ in ours.stream(0, num_batches):
                pass

        yield Comparison(f"{rows.numel():,} training images, {_SIZE[0]}×{_SIZE[1]}, in batches of {rows.shape[1]}",
                         consume_ours, consume_plain, f"Pillow per image in a DataLoader of {_WORKERS} processes "
                         "(their memory not counted); flip, crop, erasing, normalisation in both", "≥ 6×")
