"""Grey images and the operations that blend with another version of the image, as in Pillow's ``ImageEnhance``."""

import torch
from torch import Tensor


def grey(images: Tensor) -> Tensor:
    """Luma (ITU-R BT.601) of images [B, H, W, 3], rounded as Pillow does: int32 [B, H, W]."""
    red, green, blue = images.to(torch.int32).unbind(3)
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def saturate(images: Tensor, factor: Tensor) -> Tensor:
    """Scale each pixel's difference to its grey by ``factor`` (float32 [B])."""
    return _away_from(grey(images)[..., None], images, factor)


def sharpen(images: Tensor, factor: Tensor) -> Tensor:
    """Scale the difference to a smoothed image by ``factor`` (float32 [B]).

    Smoothing weighs a pixel five times as much as each of its eight neighbours; pixels on the border stay.
    """
    smooth = images.to(torch.int32)
    rows = smooth[:, :-2] + smooth[:, 1:-1] + smooth[:, 2:]
    sums = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * smooth[:, 1:-1, 1:-1]
    smooth[:, 1:-1, 1:-1] = (2 * sums + 13) // 26  # the 13th part, rounded
    return _away_from(smooth, images, factor)


def _away_from(other: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    blended = other + factor[:, None, None, None] * (images.to(torch.int32) - other)
    return blended.clamp_(0, 255).to(torch.uint8)
