"""The parts that networks are put together from: stems and stages, usable one by one.

A two-stream network has one ``Stem`` per modality and one set of ``build_stages``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nas_reid.backbones.blocks import BLOCKS, BlockSettings
from nas_reid.backbones.non_local import NonLocal
from nas_reid.backbones.norms import NormFactory, normalise

STAGES = ("layer1", "layer2", "layer3", "layer4")
DEPTHS = {18: ("basic", (2, 2, 2, 2)), 34: ("basic", (3, 4, 6, 3)), 50: ("bottleneck", (3, 4, 6, 3)),
          101: ("bottleneck", (3, 4, 23, 3)), 152: ("bottleneck", (3, 8, 36, 3))}  # depth -> block, blocks per stage
STEM_POOLS = {"padded": lambda: nn.MaxPool2d(3, stride=2, padding=1),
              "ceil": lambda: nn.MaxPool2d(3, stride=2, ceil_mode=True)}


class Stem(nn.Module):
    """7x7/2 convolution, norm, ReLU and 3x3/2 max pool; or three 3x3 convolutions in place of the first (ResNeSt).

    Args:
        channels: of the output; of a deep stem, whose first two convolutions have half of them, an even number.
        norm: makes the norms of the sites ``bn1`` and, in a deep stem, ``conv1.1`` and ``conv1.4``.
        deep: three 3x3 convolutions.
        pool: ``padded`` (torchvision) or ``ceil``, the unpadded pool of FastReID's ResNets: the same size, but windows
            start one pixel further down and right.
        prefix: what the names of the sites begin with, such as ``visible.`` in a network with several stems.
    """

    def __init__(self, channels: int, *, norm: NormFactory, deep: bool = False, pool: str = "padded",
                 prefix: str = "") -> None:
        super().__init__()
        self.conv1: nn.Module
        if deep:
            half = channels // 2
            self.conv1 = _Convolutions(
                nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), norm(f"{prefix}conv1.1", half), nn.ReLU(),
                nn.Conv2d(half, half, 3, padding=1, bias=False), norm(f"{prefix}conv1.4", half), nn.ReLU(),
                nn.Conv2d(half, channels, 3, padding=1, bias=False))
        else:
            self.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(f"{prefix}bn1", channels)
        self.maxpool = STEM_POOLS[pool]()

    def forward(self, images: Tensor, *, context: Any = None) -> Tensor:
        """[B, 3, H, W] to [B, channels, ceil(H / 4), ceil(W / 4)]."""
        x = self.conv1(images, context) if isinstance(self.conv1, _Convolutions) else self.conv1(images)
        return self.maxpool(normalise(self.bn1, x, context).relu())


class _Convolutions(nn.Sequential):
    def forward(self, x: Tensor, context: Any = None) -> Tensor:
        """Maps [B, C, H, W] through the blocks in turn; ``context`` is for norms that need one."""
        for module in self:
            x = normalise(module, x, context)
        return x


class Stage(nn.Module):
    """Blocks one after the other, named 0, 1, ..., and non-local blocks after some of them.

    Args:
        blocks: in order.
        non_local: index of a block -> what follows it.
        out_channels: of the last block.
    """

    def __init__(self, blocks: Sequence[nn.Module], non_local: dict[int, NonLocal], *, out_channels: int) -> None:
        super().__init__()
        for index, block in enumerate(blocks):
            self.add_module(str(index), block)
        self.length = len(blocks)
        self.non_local = nn.ModuleDict({str(index): module for index, module in non_local.items()})
        self.out_channels = out_channels

    def forward(self, x: Tensor, context: Any = None) -> Tensor:
        """[B, C, H, W] to [B, out_channels, ceil(H / stride), ceil(W / stride)]."""
        for index in map(str, range(self.length)):
            x = self.get_submodule(index)(x, context)
            if index in self.non_local:
                x = self.non_local[index](x)
        return x


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """How the four stages are built.

    Args:
        block: a key of ``BLOCKS``.
        lengths: blocks of each stage.
        planes: of the first stage; doubled in every next one.
        last_stride: of ``layer4``, 1 or 2. Re-ID takes 1 for a larger map.
        dilate_last: with ``last_stride`` 1, all blocks of ``layer4`` but the first have dilation 2 (ResNeSt).
        instance_norm_stages: stages that end with an instance norm after the last sum (IBN-b: the first two).
        non_local: how many of the last blocks of each stage are followed by a non-local block.
        non_local_inner: inner channels of these; 0 for half of the stage's channels.
    """

    block: str
    lengths: tuple[int, int, int, int]
    planes: int = 64
    last_stride: int = 2
    dilate_last: bool = False
    instance_norm_stages: tuple[int, ...] = ()
    non_local: tuple[int, int, int, int] = (0, 0, 0, 0)
    non_local_inner: int = 0


def build_stages(in_channels: int, plan: StagePlan, settings: BlockSettings) -> dict[str, Stage]:
    """The stages by name, ``layer1`` to ``layer4``.

    The norm factory is called in the order of the network, and in a block first for its shortcut.

    Args:
        in_channels: of the stem's output.
        plan: see there.
        settings: of the blocks.
    """
    stages = {}
    for position, name in enumerate(STAGES):
        stages[name] = _build_stage(name, position, in_channels, plan, settings)
        in_channels = stages[name].out_channels
    return stages


def _build_stage(name: str, position: int, in_channels: int, plan: StagePlan, settings: BlockSettings) -> Stage:
    block, length, planes = BLOCKS[plan.block], plan.lengths[position], plan.planes * 2 ** position
    stride = (1, 2, 2, plan.last_stride)[position]
    dilation = 2 if plan.dilate_last and name == STAGES[-1] and stride == 1 else 1
    channels, blocks = planes * block.expansion, []
    for index in range(length):
        first = index == 0
        blocks.append(block(
            in_channels if first else channels, planes, stride=stride if first else 1, settings=settings,
            site=f"{name}.{index}", dilation=1 if first else dilation, first=first and position > 0,
            instance_norm=position in plan.instance_norm_stages and index + 1 == length))
    after = range(length - plan.non_local[position], length)
    inner = plan.non_local_inner or channels // 2
    return Stage(blocks, {index: NonLocal(channels, inner) for index in after}, out_channels=channels)
