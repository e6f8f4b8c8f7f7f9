"""Which part of an image a classifier sees: random crops in training, the centre in validation."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from nas_reid.data.decoding import Box

TRIES = 10
"""Crops that are drawn for an image before its centre is taken."""


def draw_crops(count: int, generator: Generator) -> Tensor:
    """Uniform numbers for ``random_crop``, float64 [count, TRIES, 4]."""
    return torch.rand(count, TRIES, 4, generator=generator, dtype=torch.float64)


def random_crop(width: int, height: int, numbers: Sequence[Sequence[float]], *, scale: Sequence[float],
                ratio: Sequence[float], aspect: float) -> Box:
    """A crop of random area and shape (Szegedy et al., Going Deeper with Convolutions, CVPR 2015).

    As torchvision's: the area is uniform, the logarithm of the shape is uniform; the first of ``TRIES`` that fits is
    taken, else the largest centred crop whose shape is allowed. Edges are not rounded.

    Args:
        width, height: of the image.
        numbers: [TRIES, 4] uniform in [0, 1): area, shape, left, top.
        scale: smallest and largest share of the area.
        ratio: smallest and largest width / height, relative to ``aspect``.
        aspect: width / height of what the crop is resized to.
    """
    low, high = (math.log(value * aspect) for value in ratio)
    for area, shape, left, top in numbers:
        pixels = width * height * (scale[0] + (scale[1] - scale[0]) * area)
        widening = math.exp(low + (high - low) * shape)
        crop_width, crop_height = math.sqrt(pixels * widening), math.sqrt(pixels / widening)
        if crop_width <= width and crop_height <= height:
            x, y = left * (width - crop_width), top * (height - crop_height)
            return x, y, x + crop_width, y + crop_height
    allowed = min(max(width / height, math.exp(low)), math.exp(high))
    return centre_crop(width, height, centre=1.0, aspect=allowed)


def centre_crop(width: int, height: int, *, centre: float, aspect: float) -> Box:
    """The middle of an image: ``centre`` times the largest crop of shape ``aspect``.

    224 / 256 = 0.875 is ImageNet's resize to 256 on the shorter side and crop to 224.
    """
    crop_height = min(height, width / aspect) * centre
    crop_width = min(crop_height * aspect, width)
    x, y = (width - crop_width) / 2, (height - crop_height) / 2
    return x, y, x + crop_width, y + crop_height
