"""What the augmentations share: a draw for each image, and a choice between bytes."""

import torch
from torch import Generator, Tensor

from nas_reid.errors import ConfigError


def uniform(images: Tensor, generator: Generator) -> Tensor:
    """One draw from [0, 1) for each of the images, float32 [B]."""
    return torch.rand(len(images), device=images.device, generator=generator)


def choose(condition: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    """``torch.where`` for bytes; as bitwise operations, which vectorise, it is many times faster on a CPU.

    Args:
        condition: bool.
        chosen, other: uint8. All three broadcast.
    """
    mask = condition.to(torch.uint8).neg_()  # 255 where true
    return ((chosen ^ other) & mask) ^ other


def check_probability(name: str, value: float) -> float:
    """``value`` itself.

    Raises:
        ConfigError: it lies outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise ConfigError(f"{name}={value} must lie in [0, 1]")
    return value
