"""From bytes to the floats that networks are fed."""

from functools import cache
from math import prod

import torch
from torch import Tensor

from nas_reid.data.recycling import Recycler

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_memory = Recycler()
_PIECE = 2**19  # bytes at a time on a CPU, whose floats are then still in the cache


def normalise(images: Tensor, out: Tensor | None = None) -> Tensor:
    """Floats with ImageNet's mean and standard deviation: (x / 255 - mean) / std.

    Args:
        images: uint8 [B, H, W, 3].
        out: float32 [B, H, W, 3], contiguous, to write to; None: a new one.

    Returns:
        float32 [B, 3, H, W] in channels_last memory format: the bytes' own order, so nothing is moved.
    """
    if out is None:
        out = new_floats(images)
    scale, shift = _scale_and_shift(images.device, images.shape[2])
    size = len(images) if images.is_cuda else max(1, _PIECE // prod(images.shape[1:]))
    for pixels, floats in zip(images.split(size), out.split(size), strict=True):
        rows = floats.flatten(2)  # long rows vectorise, triples of channels do not
        torch.addcmul(shift, rows.copy_(pixels.flatten(2)), scale, out=rows)
    return out.permute(0, 3, 1, 2)


def new_floats(images: Tensor) -> Tensor:
    """Memory for the floats of ``images``: float32, same shape and device, contiguous, not initialised."""
    if images.device.type == "cpu":
        return _memory.floats(*images.shape)
    return torch.empty(images.shape, dtype=torch.float32, device=images.device)


@cache  # stays on the device: made anew, it would be copied from the host in every step
def _scale_and_shift(device: torch.device, width: int) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (IMAGENET_MEAN, IMAGENET_STD))
    scale, shift = (row.repeat(width).to(device, torch.float32) for row in (1 / (255 * std), -mean / std))
    return scale, shift
