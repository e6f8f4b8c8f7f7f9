"""Norm layers by site: a residual network asks a factory for the norm of each of its named places.

So one mechanism serves IBN-Net's fixed placement and any space that searches which norm goes where, or which norms are
kept apart per modality. A norm that needs more than its input (mixing weights, the modality of each image) is a
``SiteNorm``; the networks hand it the ``context`` that their forward received, without looking at it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

# (site, channels) -> norm. A site is the norm's name in the network: bn1, layer1.0.bn2, layer1.0.downsample.1, ...
NormFactory = Callable[[str, int], nn.Module]


class SiteNorm(nn.Module):
    """A norm whose forward takes ``(x, context)``; the context is whatever the network was called with."""


def normalise(norm: nn.Module, x: Tensor, context: Any = None) -> Tensor:
    """[B, C, H, W] through a norm of either kind."""
    return norm(x, context) if isinstance(norm, SiteNorm) else norm(x)


def batch_norm(site: str, channels: int) -> nn.Module:
    """The factory of the plain networks: a batch norm everywhere."""
    return nn.BatchNorm2d(channels)


class InstanceBatchNorm(nn.Module):
    """IBN-a (Pan et al., Two at Once, ECCV 2018): instance norm on the first half of the channels, batch norm on the
    others.

    Args:
        channels: C; the instance norm gets floor(C / 2).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.instance_channels = channels // 2
        self.IN = nn.InstanceNorm2d(self.instance_channels, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.instance_channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W], the same shape out."""
        first, second = x.split((self.instance_channels, x.shape[1] - self.instance_channels), dim=1)
        return torch.cat((self.IN(first), self.BN(second)), dim=1)


def _ibn_a(site: str, channels: int) -> nn.Module:
    inside = re.fullmatch(r"layer[123]\.\d+\.bn1", site)  # none in layer4: semantics need the appearance
    return InstanceBatchNorm(channels) if inside else nn.BatchNorm2d(channels)


def _ibn_b(site: str, channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True) if site == "bn1" else nn.BatchNorm2d(channels)


# What ``ibn=`` can be -> its factory. IBN-b also has an instance norm after the last sum of layer1 and layer2, which is
# no replacement of a batch norm and therefore no site: see ``stages``.
IBN_NORMS: Mapping[str, NormFactory] = {"none": batch_norm, "a": _ibn_a, "b": _ibn_b}
