"""Batches as a Pillow-per-image ``DataLoader`` makes them: opened, decoded, resized and augmented one by one."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nas_reid.data.normalise import IMAGENET_MEAN, IMAGENET_STD


class PillowImages(Dataset[tuple[Tensor, int]]):
    """Images with their labels: flip, pad-and-crop, to float, normalise, erase.

    Args:
        paths: the files.
        labels: their classes.
        size: (height, width).
    """

    def __init__(self, paths: Sequence[Path], labels: Sequence[int], *, size: tuple[int, int]) -> None:
        self.paths, self.labels, self.size = list(paths), list(labels), size
        self.mean = torch.tensor(IMAGENET_MEAN)[:, None, None]
        self.std = torch.tensor(IMAGENET_STD)[:, None, None]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image float32 [3, H, W] and label."""
        height, width = self.size
        image = Image.open(self.paths[index]).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        left, top = random.randint(0, 8), random.randint(0, 8)
        image = ImageOps.expand(image, border=4).crop((left, top, left + width, top + height))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div_(255)
        return _erased(pixels.sub_(self.mean).div_(self.std)), self.labels[index]


def pillow_loader(images: PillowImages, batches: Iterable[list[int]], *,
                  workers: int) -> DataLoader[tuple[Tensor, int]]:
    """A loader of the given batches whose worker processes stay alive between epochs."""
    return DataLoader(images, batch_sampler=batches, num_workers=workers, persistent_workers=True)


def _erased(pixels: Tensor) -> Tensor:
    """With probability one half, a rectangle of 2 to 40 % of the image set to the mean, drawn until it fits."""
    _, height, width = pixels.shape
    if random.random() < 0.5:
        return pixels
    while True:
        area, ratio = random.uniform(0.02, 0.4) * height * width, random.uniform(0.3, 1 / 0.3)
        tall, wide = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if tall < height and wide < width:
            top, left = random.randint(0, height - tall), random.randint(0, width - wide)
            pixels[:, top:top + tall, left:left + wide] = 0
            return pixels
