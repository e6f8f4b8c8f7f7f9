"""From bytes to the floats that networks are fed."""

from functools import cache

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(images: Tensor) -> Tensor:
    """Floats with ImageNet's mean and standard deviation: (x / 255 - mean) / std.

    Args:
        images: uint8 [B, H, W, 3].

    Returns:
        float32 [B, 3, H, W] in channels_last memory format: the bytes' own order, so nothing is moved.
    """
    batch, height, width, channels = images.shape
    scale, shift = _scale_and_shift(images.device, width)
    rows = images.reshape(batch, height, width * channels)  # long rows vectorise, triples of channels do not
    return rows.to(torch.float32).mul_(scale).add_(shift).view(images.shape).permute(0, 3, 1, 2)


@cache  # stays on the device: made anew, it would be copied from the host in every step
def _scale_and_shift(device: torch.device, width: int) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (IMAGENET_MEAN, IMAGENET_STD))
    scale, shift = (row.repeat(width).to(device, torch.float32) for row in (1 / (255 * std), -mean / std))
    return scale, shift
