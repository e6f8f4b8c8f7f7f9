"""What the augmentations share: a draw for each image, and a choice between bytes."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from nas_reid.errors import ConfigError


def uniform(images: Tensor, generator: Generator, count: int = 1) -> Tensor:
    """``count`` draws from [0, 1) for each of the images, float32 [count, B], or [B] of one."""
    return torch.rand(count, len(images), device=images.device, generator=generator).squeeze(0)


def byte_mask(condition: Tensor) -> Tensor:
    """Bytes: 255 where ``condition`` (bool) is true, else 0."""
    return condition.to(torch.uint8).neg_()


def blend_(chosen: Tensor, other: Tensor, mask: Tensor) -> Tensor:
    """``chosen`` where ``mask`` is 255 and ``other`` where it is 0, in the memory of ``chosen``; all uint8.

    ``torch.where`` in bitwise operations, which vectorise: many times faster on a CPU.
    """
    return chosen.bitwise_xor_(other).bitwise_and_(mask).bitwise_xor_(other)


def change_chosen(images: Tensor, chosen: Tensor, change: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """``change(images, *values)`` for the chosen images, the others as they are.

    On a CPU the others are not computed. Elsewhere all are, since counting the chosen ones would wait for the device.

    Args:
        images: uint8 [B, H, W, 3], contiguous; not changed.
        chosen: bool [B].
        change: treats every image by itself.
        values: of each image, [B].
    """
    if images.device.type != "cpu":
        return blend_(change(images, *values), images, byte_mask(chosen)[:, None, None, None])
    rows = chosen.nonzero().squeeze(1)
    if not len(rows):
        return images
    changed = images.clone()
    replace_(changed.flatten(1), rows, change(images[rows], *(value[rows] for value in values)).flatten(1))
    return changed


def replace_(values: Tensor, rows: Tensor, new: Tensor) -> None:
    """Put other bytes into some rows; as long integers, which is eight times faster.

    Args:
        values: uint8 [N, L], contiguous; changed.
        rows: int64 [n], each once.
        new: uint8 [n, L].
    """
    if values.shape[1] % 8 == 0:
        values, new = values.view(torch.int64), new.view(torch.int64)
    values.index_copy_(0, rows, new)


def check_probability(name: str, value: float) -> float:
    """``value`` itself.

    Raises:
        ConfigError: it lies outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise ConfigError(f"{name}={value} must lie in [0, 1]")
    return value
