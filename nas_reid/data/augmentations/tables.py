"""Colour operations that are a table of 256 entries per image and channel, and looking all of them up at once.

Each is the operation of that name in Pillow's ``ImageOps`` or ``ImageEnhance``, to the byte.
"""

import torch
from torch import Tensor

from nas_reid.data.augmentations.grey import grey


def look_up(images: Tensor, tables: Tensor) -> Tensor:
    """Map the bytes of images [B, H, W, 3] through tables, uint8 [B, 3, 256]."""
    first = torch.arange(0, 3 * 256, 256, device=images.device)
    return tables.flatten(1).gather(1, (images + first).flatten(1)).view(images.shape)


def histogram(images: Tensor) -> Tensor:
    """How often each channel of images [B, H, W, 3] has each value, int64 [B, 3, 256]."""
    batch = len(images)
    first = torch.arange(0, 3 * 256, 256, device=images.device)
    counts = torch.zeros(batch, 3 * 256, dtype=torch.int64, device=images.device)
    values = (images + first).flatten(1)
    return counts.scatter_add_(1, values, torch.ones_like(values)).view(batch, 3, 256)


def posterize(bits: Tensor) -> Tensor:
    """Keep the highest ``bits`` (float32 [B], whole) of each value: tables [B, 1, 256]."""
    step = 2 ** (8 - bits.long().clamp(0, 8))[:, None, None]
    return (_values(bits) // step * step).to(torch.uint8)


def solarize(threshold: Tensor) -> Tensor:
    """Invert the values from ``threshold`` (float32 [B]) on; all of them at 0: tables [B, 1, 256]."""
    values = _values(threshold)
    return torch.where(values < threshold[:, None, None], values, 255 - values).to(torch.uint8)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Scale the difference to the image's mean grey by ``factor`` (float32 [B]): tables [B, 1, 256]."""
    mean = (grey(images).flatten(1).double().mean(1) + 0.5).floor().to(factor.dtype)[:, None, None]
    return (mean + factor[:, None, None] * (_values(factor) - mean)).clamp(0, 255).to(torch.uint8)


def autocontrast(counts: Tensor) -> Tensor:
    """Stretch each channel linearly to 0..255: tables [B, 3, 256] from a ``histogram``."""
    values, occurs = _values(counts).expand_as(counts), counts > 0
    low = values.masked_fill(~occurs, 255).amin(2, keepdim=True)
    high = values.masked_fill(~occurs, 0).amax(2, keepdim=True)
    span = (high - low).clamp(min=1).double()
    scale = torch.full_like(span, 255) / span  # a number divided by a tensor would be rounded twice
    stretched = (values * scale - low * scale).clamp_(0, 255).long()
    return torch.where(high > low, stretched, values).to(torch.uint8)


def equalize(counts: Tensor) -> Tensor:
    """Spread the values of each channel evenly over 0..255: tables [B, 3, 256] from a ``histogram``."""
    values = _values(counts).expand_as(counts)
    highest = values.masked_fill(counts == 0, 0).amax(2, keepdim=True)
    step = (counts.sum(2, keepdim=True) - counts.gather(2, highest)) // 255
    before = counts.cumsum(2) - counts
    spread = ((step // 2 + before) // step.clamp(min=1)).clamp_(max=255)
    return torch.where(step > 0, spread, values).to(torch.uint8)


def _values(like: Tensor) -> Tensor:
    return torch.arange(256, device=like.device)
