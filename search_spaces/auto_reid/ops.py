"""The candidate ops of a cell, built once for the supernet and once for the fixed network.

Ops follow DARTS (Liu et al., 2019): every convolution is ReLU, convolution, batch norm, and padding keeps a
stride-1 map's size; stride 2 gives ``ceil(H / 2) x ceil(W / 2)`` for every op, so that odd sizes line up.

Adding an op is one module class and one line in ``OPS``; a line in ``PRIMITIVES`` makes it searchable.
Width is written ``c``; an op maps [B, c, H, W] to [B, c, ceil(H / stride), ceil(W / stride)].
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_reid.modules.pointwise import PointwiseConv, thinned
from search_spaces.auto_reid.grouped_conv import grouped_conv
from search_spaces.auto_reid.part_aware import PART_AWARE


@dataclass(frozen=True)
class OpSettings:
    """What every op of a network has in common.

    Args:
        search: build for the supernet. Its batch norms have no affine parameters (a learned scale would hide the
            mixing weight) and no running statistics (which would average over architectures that no longer exist).
        parts: stripes M of the part-aware op.
        part_attention: layout of the part-aware op, a key of ``PART_AWARE``.
    """

    search: bool
    parts: int = 4
    part_attention: str = "published"

    def norm(self, channels: int) -> nn.BatchNorm2d:
        """The batch norm that closes a convolution of this network."""
        return nn.BatchNorm2d(channels, affine=not self.search, track_running_stats=not self.search)


class ReLUConvNorm(nn.Module):
    """ReLU, 1x1 convolution, batch norm: brings a cell input to the cell's width."""

    def __init__(self, in_channels: int, out_channels: int, *, settings: OpSettings) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = settings.norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] to [B, out, H, W]."""
        return self.norm(self.conv(F.relu(x)))


class FactorizedReduce(nn.Module):
    """Halve a map without losing pixels: two strided 1x1 convolutions, the second shifted by one pixel, concatenated.

    Odd sizes get a zero row or column at the far end for the shifted half.
    """

    def __init__(self, in_channels: int, out_channels: int, *, settings: OpSettings) -> None:
        super().__init__()
        self.even = PointwiseConv(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.odd = PointwiseConv(in_channels, out_channels - out_channels // 2, 1, stride=2, bias=False)
        self.norm = settings.norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] to [B, out, ceil(H / 2), ceil(W / 2)]."""
        x = F.relu(x)
        return self.norm(torch.cat([self.even(x), self.odd(shift_by_one(x))], dim=1))


def shift_by_one(x: Tensor) -> Tensor:
    """``x`` without its first row and column, zero-padded so that stride 2 yields ceil(H / 2) x ceil(W / 2)."""
    height, width = x.shape[-2:]
    shifted = thinned(x, 1, start=1)
    return F.pad(shifted, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else shifted


class DepthwiseConv(nn.Conv2d):
    """``nn.Conv2d`` with one kernel per channel, trained through ``grouped_conv`` where that is faster."""

    padding: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        """As ``nn.Conv2d``."""
        if self.dilation[0] == 1 or not torch.is_grad_enabled():
            return super().forward(x)
        return grouped_conv(x, self.weight, groups=self.groups, stride=self.stride[0], padding=self.padding[0],
                            dilation=self.dilation[0])


class DepthwiseSeparable(nn.Module):
    """ReLU, depthwise k x k, pointwise 1x1, batch norm; ``k^2 c + c^2`` weights (+ ``2 c`` affine)."""

    def __init__(self, channels: int, kernel: int, *, stride: int, dilation: int, settings: OpSettings) -> None:
        super().__init__()
        self.depthwise = DepthwiseConv(channels, channels, kernel, stride=stride, padding=dilation * (kernel // 2),
                                       dilation=dilation, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = settings.norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, H, W] to [B, c, ceil(H / stride), ceil(W / stride)]."""
        return self.norm(self.pointwise(self.depthwise(F.relu(x))))


class SeparableConv(nn.Sequential):
    """Two depthwise-separable stages, the first with the stride."""

    def __init__(self, channels: int, kernel: int, *, stride: int, settings: OpSettings) -> None:
        super().__init__(*(DepthwiseSeparable(channels, kernel, stride=s, dilation=1, settings=settings)
                           for s in (stride, 1)))


class Zero(nn.Module):
    """The primitive ``none``: no connection. Exists so that a sampled ``none`` runs like any other op."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Zeros of the shape every other op would return."""
        # A product, not new zeros: where a sample cuts every path, earlier alphas then get zeros, not an error.
        return thinned(x, self.stride) * 0


def _pool(pool: nn.Module, channels: int, settings: OpSettings) -> nn.Module:
    # As in DARTS, only the supernet normalises pools, so that they compete with normalised convolutions on equal terms.
    return nn.Sequential(pool, settings.norm(channels)) if settings.search else pool


def _max_pool(channels: int, stride: int, settings: OpSettings) -> nn.Module:
    return _pool(nn.MaxPool2d(3, stride, padding=1), channels, settings)


def _avg_pool(channels: int, stride: int, settings: OpSettings) -> nn.Module:
    return _pool(nn.AvgPool2d(3, stride, padding=1, count_include_pad=False), channels, settings)


def _skip(channels: int, stride: int, settings: OpSettings) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, settings=settings)


def _sep_conv(kernel: int) -> Callable[[int, int, OpSettings], nn.Module]:
    return lambda channels, stride, settings: SeparableConv(channels, kernel, stride=stride, settings=settings)


def _dil_conv(kernel: int) -> Callable[[int, int, OpSettings], nn.Module]:
    return lambda channels, stride, settings: DepthwiseSeparable(
        channels, kernel, stride=stride, dilation=2, settings=settings)


def _part_aware(channels: int, stride: int, settings: OpSettings) -> nn.Module:
    fuse_channels = PART_AWARE[settings.part_attention].fuse_channels(channels)
    # Stride 1 has no ReLU before the fusion, as in the published code; stride 2 has FactorizedReduce's.
    fuse = (nn.Sequential(nn.Conv2d(fuse_channels, channels, 1, bias=False), settings.norm(channels)) if stride == 1
            else FactorizedReduce(fuse_channels, channels, settings=settings))
    return PART_AWARE[settings.part_attention](channels, parts=settings.parts, norm=settings.norm, fuse=fuse)


# name -> (channels, stride, settings) -> module
OPS: dict[str, Callable[[int, int, OpSettings], nn.Module]] = {
    "none": lambda channels, stride, settings: Zero(stride),
    "max_pool_3x3": _max_pool,
    "avg_pool_3x3": _avg_pool,
    "skip_connect": _skip,
    "sep_conv_3x3": _sep_conv(3),
    "sep_conv_5x5": _sep_conv(5),
    "dil_conv_3x3": _dil_conv(3),
    "dil_conv_5x5": _dil_conv(5),
    "part_aware": _part_aware,
}

# The op sets a search can choose from: O_reid (Auto-ReID, section 3.3), the one of DARTS, and O_reid without `none`:
# nothing derived is ever `none`, but its probability grows all through a search and the others' gradients shrink by it.
PRIMITIVES: dict[str, tuple[str, ...]] = {
    "reid": ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "part_aware"),
    "reid_without_none": ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "part_aware"),
    "baseline": ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"),
    "darts": ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
              "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
}

# What regularisers and early stopping need to know of an op.
TAGS: dict[str, frozenset[str]] = {
    "none": frozenset({"none", "param_free"}),
    "skip_connect": frozenset({"skip", "param_free"}),
    "max_pool_3x3": frozenset({"param_free"}),
    "avg_pool_3x3": frozenset({"param_free"}),
}
