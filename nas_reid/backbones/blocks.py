"""Residual blocks (He et al., CVPR 2016), with grouped (ResNeXt) and split-attention (ResNeSt) convolutions, SE and
the instance norm of IBN-b."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nas_reid.backbones.norms import NormFactory, normalise
from nas_reid.backbones.split_attention import SplitAttentionConv
from nas_reid.modules.pointwise import PointwiseConv

_SE_REDUCTION = 16


@dataclass(frozen=True, kw_only=True)
class BlockSettings:
    """What the blocks of a network share.

    Args:
        norm: makes the norm of each site.
        groups: of the 3x3 convolution (ResNeXt's cardinality).
        group_width: channels of each group where a stage has 64 planes; 64 with one group is ResNet.
        radix: splits of the 3x3 convolution's attention; 0 for an ordinary convolution.
        average_shortcut: shortcuts pool before a 1x1 convolution instead of striding it (ResNet-D, ResNeSt).
        se: squeeze-and-excitation before the sum.
    """

    norm: NormFactory
    groups: int = 1
    group_width: int = 64
    radix: int = 0
    average_shortcut: bool = False
    se: bool = False


class SqueezeExcitation(nn.Module):
    """Channel gates from pooled features (Hu et al., CVPR 2018): reduction 16, no biases.

    Args:
        channels: C, at least 16.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // _SE_REDUCTION
        self.fc = nn.Sequential(nn.Linear(channels, hidden, bias=False), nn.ReLU(),
                                nn.Linear(hidden, channels, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W], the same shape out."""
        return x * self.fc(x.mean((2, 3)))[..., None, None]


class Shortcut(nn.Sequential):
    """1x1 convolution and norm, after an average pool if ``settings.average_shortcut``.

    Args:
        in_channels, out_channels: of the convolution.
        stride: of the convolution or the pool.
        settings: of the network.
        site: the block's name in the network.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, settings: BlockSettings,
                 site: str) -> None:
        pool = [nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)] \
            if settings.average_shortcut else []
        conv = PointwiseConv(in_channels, out_channels, 1, stride=1 if pool else stride, bias=False)
        super().__init__(*pool, conv, settings.norm(f"{site}.downsample.{len(pool) + 1}", out_channels))

    def forward(self, x: Tensor, context: Any = None) -> Tensor:
        """[B, in_channels, H, W] to [B, out_channels, ceil(H / stride), ceil(W / stride)]."""
        *before, norm = self
        for module in before:
            x = module(x)
        return normalise(norm, x, context)


class _Residual(nn.Module):
    """What both kinds of block end with: SE, the sum, IBN-b's instance norm, ReLU."""

    expansion: int

    def _shortcut(self, in_channels: int, out_channels: int, *, stride: int, settings: BlockSettings,
                  site: str) -> Shortcut | None:
        if stride == 1 and in_channels == out_channels:
            return None
        return Shortcut(in_channels, out_channels, stride=stride, settings=settings, site=site)

    def _end(self, out_channels: int, shortcut: nn.Module | None, *, se: bool, instance_norm: bool) -> None:
        self.downsample: nn.Module | None = shortcut
        self.se = SqueezeExcitation(out_channels) if se else nn.Identity()
        self.IN = nn.InstanceNorm2d(out_channels, affine=True) if instance_norm else nn.Identity()

    def _sum(self, x: Tensor, branch: Tensor, context: Any) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x, context)
        return self.IN(self.se(branch) + shortcut).relu()


class BasicBlock(_Residual):
    """Two 3x3 convolutions (ResNet-18 and 34).

    Args:
        in_channels: of the input.
        planes: channels of both convolutions.
        stride: of the first convolution.
        settings: of the network; neither groups nor radix apply.
        site: this block's name in the network, such as ``layer1.0``.
        instance_norm: IBN-b's, after the sum.
        dilation: must be 1; see ``Bottleneck``.
        first: see ``Bottleneck``; without effect.
    """

    expansion = 1

    def __init__(self, in_channels: int, planes: int, *, stride: int, settings: BlockSettings, site: str,
                 instance_norm: bool = False, dilation: int = 1, first: bool = False) -> None:
        super().__init__()
        shortcut = self._shortcut(in_channels, planes, stride=stride, settings=settings, site=site)
        self.conv1 = nn.Conv2d(in_channels, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = settings.norm(f"{site}.bn1", planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = settings.norm(f"{site}.bn2", planes)
        self._end(planes, shortcut, se=settings.se, instance_norm=instance_norm)

    def forward(self, x: Tensor, context: Any = None) -> Tensor:
        """[B, in_channels, H, W] to [B, planes, H / stride, W / stride]."""
        y = normalise(self.bn1, self.conv1(x), context).relu()
        return self._sum(x, normalise(self.bn2, self.conv2(y), context), context)


class Bottleneck(_Residual):
    """1x1, 3x3 and 1x1 convolutions; the stride is on the 3x3.

    Args:
        in_channels: of the input.
        planes: channels of the 3x3 convolution at one group of width 64; the block ends with four times as many.
        stride: of the 3x3 convolution; with split attention of a 3x3 average pool after it.
        settings: of the network.
        site: this block's name in the network, such as ``layer1.0``.
        instance_norm: IBN-b's, after the sum.
        dilation: of the 3x3 convolution.
        first: opens a stage that strides as published: split attention then pools even at stride 1.
    """

    expansion = 4

    def __init__(self, in_channels: int, planes: int, *, stride: int, settings: BlockSettings, site: str,
                 instance_norm: bool = False, dilation: int = 1, first: bool = False) -> None:
        super().__init__()
        out_channels, norm, groups = planes * self.expansion, settings.norm, settings.groups
        width = planes * settings.group_width // 64 * groups
        shortcut = self._shortcut(in_channels, out_channels, stride=stride, settings=settings, site=site)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = norm(f"{site}.bn1", width)
        self.pool: nn.Module = nn.Identity()
        self.conv2: nn.Module
        if settings.radix:
            self.conv2 = SplitAttentionConv(width, groups=groups, radix=settings.radix, dilation=dilation, norm=norm,
                                            site=f"{site}.conv2")
            if stride > 1 or first:
                self.pool = nn.AvgPool2d(3, stride, padding=1)
        else:
            self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=dilation, dilation=dilation, groups=groups,
                                   bias=False)
            self.bn2 = norm(f"{site}.bn2", width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = norm(f"{site}.bn3", out_channels)
        self._end(out_channels, shortcut, se=settings.se, instance_norm=instance_norm)

    def forward(self, x: Tensor, context: Any = None) -> Tensor:
        """[B, in_channels, H, W] to [B, 4 planes, H / stride, W / stride]."""
        y = normalise(self.bn1, self.conv1(x), context).relu()
        if isinstance(self.conv2, SplitAttentionConv):
            y = self.pool(self.conv2(y, context))
        else:
            y = normalise(self.bn2, self.conv2(y), context).relu()
        return self._sum(x, normalise(self.bn3, self.conv3(y), context), context)


BLOCKS: Mapping[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}
