"""From a feature map [B, C, H, W] to a vector [B, C] per image."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Average(nn.Module):
    """Mean over the positions."""

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C]."""
        return nn.functional.adaptive_avg_pool2d(maps, 1).flatten(1)


class Max(nn.Module):
    """Maximum over the positions."""

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C]."""
        return _largest(maps)


class AverageAndMax(nn.Module):
    """Mean plus maximum, as FastReID; timm's ``avgmax`` is half of it."""

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C]."""
        return nn.functional.adaptive_avg_pool2d(maps, 1).flatten(1) + _largest(maps)


class GeneralisedMean(nn.Module):
    """(mean x^p)^(1/p) of x clamped to at least 1e-6 (Radenović et al. 2019, Eq. 2; FastReID, Eq. 3).

    Computed in at least float32 and relative to the largest x, so that no power leaves the range of the type. A
    channel of zeros gives 1e-6.

    Args:
        p: 1 is the mean of the positive part, infinity the maximum.
        learn: p is a parameter, one for all channels.
    """

    def __init__(self, p: float, *, learn: bool) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), float(p))) if learn else float(p)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C]."""
        x = maps.to(torch.promote_types(maps.dtype, torch.float32)).flatten(2).clamp_min(1e-6)
        largest = x.detach().amax(2, keepdim=True)  # the result does not depend on it
        mean = (x / largest).pow(self.p).mean(2).pow(1 / self.p)
        return (largest.squeeze(2) * mean).to(maps.dtype)


class Attention(nn.Module):
    """Mean weighted by a softmax over the positions, one for each channel (FastReID, Eq. 4).

    The paper says no more of the weights than softmax; here a 1x1 convolution, [C, C] parameters that start at zero,
    gives their logits, so that the training starts from average pooling. Weights of a softmax add up to one, which is
    how the normaliser of Eq. 4 is read. FastReID's code has no such pooling.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logits = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.zeros_(self.logits.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C]."""
        weights = self.logits(maps).flatten(2).softmax(2)
        return (weights * maps.flatten(2)).sum(2)


def _largest(maps: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C]; the gradient goes to the first of several equal ones."""
    if torch.are_deterministic_algorithms_enabled():  # the gradient of the other form is not, on a GPU
        return maps.flatten(2).max(2).values
    return nn.functional.adaptive_max_pool2d(maps, 1).flatten(1)


POOLINGS: dict[str, Callable[[int, float], nn.Module]] = {
    "average": lambda channels, p: Average(),
    "max": lambda channels, p: Max(),
    "avg_max": lambda channels, p: AverageAndMax(),
    "gem": lambda channels, p: GeneralisedMean(p, learn=True),
    "gem_fixed": lambda channels, p: GeneralisedMean(p, learn=False),
    "attention": lambda channels, p: Attention(channels),
}
"""Name -> module, from the number of channels and the power of a generalised mean."""
