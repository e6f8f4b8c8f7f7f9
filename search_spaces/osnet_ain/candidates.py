"""A searched block: the mixture of the four placements, in two builds."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from nas_reid.modules.instance_norm import instance_norm
from nas_reid.modules.sampled import mixture, sampled_mixture
from search_spaces.osnet_ain.block import PLACEMENTS, BlockSettings, OSBlock


class SeparateCandidates(nn.ModuleDict):
    """Four whole blocks, each with weights of its own: the published search network.

    Args:
        in_channels, out_channels: of the blocks.
        settings: shared by all blocks.
    """

    def __init__(self, in_channels: int, out_channels: int, *, settings: BlockSettings) -> None:
        super().__init__({name: OSBlock(in_channels, out_channels, placement=placement, settings=settings)
                          for name, placement in PLACEMENTS.items()})

    def forward(self, x: Tensor, weights: Tensor, chosen: int | None, all_gradients: bool) -> Tensor:
        """sum_k weights_k * block_k(x) (Eq. 5), [B, out_channels, H, W].

        Args:
            x: [B, in_channels, H, W].
            weights: [4], one weight per placement.
            chosen: run only this block; its straight-through weight keeps the gradient. None: run all.
            all_gradients: with ``chosen``, give the other weights their gradients too.
        """
        return _mix(weights, [partial(block, x) for block in self.values()], chosen, all_gradients)


class SharedCandidates(nn.Module):
    """One block whose four outputs share all convolutions and differ in the norms behind them.

    A fourth of the weights and little more than the cost of a fixed block. What the search then compares is the
    placement alone, not how far four sets of convolutions have come.

    Args:
        in_channels, out_channels: of the block.
        settings: shared by all blocks; ``affine`` must be False, which leaves instance norms without state.
    """

    def __init__(self, in_channels: int, out_channels: int, *, settings: BlockSettings) -> None:
        super().__init__()
        self.shared = OSBlock(in_channels, out_channels, placement=PLACEMENTS["os"], settings=settings)

    def forward(self, x: Tensor, weights: Tensor, chosen: int | None, all_gradients: bool) -> Tensor:
        """sum_k weights_k * y_k, where y_k is placement k's output; arguments as for ``SeparateCandidates``."""
        identity, raw = self.shared.downsample(x), self.shared.conv3.conv(self.shared.fused(x))

        def output(inside: bool, outside: bool) -> Tensor:
            """A placement's maps: IN in place of BN inside, IN after the sum outside."""
            y = (instance_norm(raw) if inside else self.shared.conv3.bn(raw)) + identity
            return torch.relu(instance_norm(y) if outside else y)

        return _mix(weights, [partial(output, *placement) for placement in PLACEMENTS.values()],
                    chosen, all_gradients)


def _mix(weights: Tensor, outputs: Sequence[Callable[[], Tensor]], chosen: int | None, all_gradients: bool) -> Tensor:
    if chosen is None:
        return mixture(weights, outputs)
    return sampled_mixture(weights, outputs, chosen, all_gradients=all_gradients)


CANDIDATES = {"separate": SeparateCandidates, "shared": SharedCandidates}
