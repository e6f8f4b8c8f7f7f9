"""The macro structure: a stem, then blocks of cells; each block after the first opens with a reduction cell.

Auto-ReID (section 4.2) takes ResNet's macro structure with C channels in the first convolution and twice the width
in every next block. A cell's output concatenates its B nodes, so a cell of width c returns B c channels. The macro
structure of DARTS on CIFAR is the stem ``cifar`` with ``layers=[2, 3, 3]`` (search) or ``[6, 7, 7]`` (training).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from search_spaces.auto_reid.ops import OpSettings


@dataclass(frozen=True)
class CellPlan:
    """Where a cell stands.

    Args:
        in_channels: channels of the outputs of the cells before the previous one and previous.
        channels: width c of the cell.
        is_reduction: the cell halves height and width.
        follows_reduction: the previous cell is a reduction, so the older input is twice as large.
    """

    in_channels: tuple[int, int]
    channels: int
    is_reduction: bool
    follows_reduction: bool

    @property
    def kind(self) -> str:
        """``"normal"`` or ``"reduce"``: the decision and the genotype entry of this cell."""
        return "reduce" if self.is_reduction else "normal"


def plan_cells(channels: int, layers: Sequence[int], *, nodes: int, stem_channels: int) -> tuple[CellPlan, ...]:
    """The cells from first to last.

    Args:
        channels: width C of the first block.
        layers: number of cells per block, l.
        nodes: B, intermediate nodes per cell.
        stem_channels: channels that the stem returns.
    """
    plans: list[CellPlan] = []
    older = newer = stem_channels
    for block, depth in enumerate(layers):
        for position in range(depth):
            plans.append(CellPlan(
                in_channels=(older, newer),
                channels=channels * 2**block,
                is_reduction=block > 0 and position == 0,
                follows_reduction=bool(plans) and plans[-1].is_reduction,
            ))
            older, newer = newer, nodes * plans[-1].channels
    return tuple(plans)


def _reid_stem(channels: int, settings: OpSettings) -> nn.Sequential:
    # No ReLU before the pool: both readers start with one, and ReLU commutes with max pooling.
    return nn.Sequential(nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False), settings.norm(channels),
                         nn.MaxPool2d(3, stride=2, padding=1))


def _wide_stem(channels: int, settings: OpSettings) -> nn.Sequential:
    # Of 8 filters, a seed's initial ones decide several points of mAP, whatever the cells; 4 C filters even that out.
    return _reid_stem(4 * channels, settings)


def _cifar_stem(channels: int, settings: OpSettings) -> nn.Sequential:
    # As in DARTS, this norm is affine even in the supernet.
    return nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))


# name -> (channels C, settings) -> module
STEMS: dict[str, Callable[[int, OpSettings], nn.Sequential]] = {"reid": _reid_stem, "wide": _wide_stem,
                                                                "cifar": _cifar_stem}


def build_stem(name: str, channels: int, *, settings: OpSettings) -> tuple[nn.Sequential, int]:
    """The stem and its channels. ``reid``: C channels at stride 4; ``wide``: 4 C; ``cifar``: 3 C at stride 1."""
    stem = STEMS[name](channels, settings)
    return stem, len(next(stem.parameters()))  # the rows of its convolution
