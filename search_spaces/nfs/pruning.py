"""Channels that no modality keeps, taken out of the network: its convolutions and norms, and weights made for all."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_reid.backbones.blocks import BasicBlock, Bottleneck
from nas_reid.backbones.modality import SplitNorm
from nas_reid.backbones.stages import Stage
from nas_reid.backbones.two_stream import TwoStreamResNet


class Cut(NamedTuple):
    """What is left of a layer: increasing indices of its output and input channels, None for all."""

    outputs: np.ndarray | None
    inputs: np.ndarray | None


class Passed(nn.Module):
    """The shortcut of a block whose input and output have given up different channels.

    Args:
        before, after: indices, in the full network, of the channels of input and output.
    """

    place: Tensor

    def __init__(self, before: np.ndarray, after: np.ndarray) -> None:
        super().__init__()
        place = np.full(max(before.max(), after.max()) + 1, len(before))  # of a lacking one: the appended zeros
        place[before] = np.arange(len(before))
        self.lacking = not np.isin(after, before).all()
        self.register_buffer("place", torch.from_numpy(place[after]), persistent=False)

    def forward(self, x: Tensor, context: Any = None) -> Tensor:
        """[B, len(before), H, W] to [B, len(after), H, W]; channels that the input lacks are zero."""
        return (F.pad(x, (0, 0, 0, 0, 0, 1)) if self.lacking else x).index_select(1, self.place)


def prune(network: TwoStreamResNet, kept: Mapping[str, np.ndarray]) -> None:
    """Take channels out of a full network in place; what is left keeps its values.

    Args:
        network: with batch norms, plain or split between the modalities.
        kept: block -> increasing indices of its output channels, for those that lose any.
    """
    for name, cut in cuts(network, kept).items():
        full = network.get_submodule(name)
        narrow = _narrow(full, cut)
        narrow.load_state_dict({key: sliced(value, cut) for key, value in full.state_dict().items()})
        network.set_submodule(name, narrow)
    for name, before, after in _ends(network, kept):
        block = _block(network, name)
        if block.downsample is None and not np.array_equal(before, after):
            block.downsample = Passed(before, after)


def _narrow(full: nn.Module, cut: Cut) -> nn.Module:
    """A new layer like ``full`` with the channels that are left."""
    if isinstance(full, nn.Conv2d):
        shape: dict[str, Any] = {key: getattr(full, key) for key in ("kernel_size", "stride", "padding", "dilation")}
        return type(full)(full.in_channels if cut.inputs is None else len(cut.inputs),
                          full.out_channels if cut.outputs is None else len(cut.outputs), bias=False, **shape)
    kind = SplitNorm if isinstance(full, SplitNorm) else nn.BatchNorm2d
    return kind(0 if cut.outputs is None else len(cut.outputs))  # listed only where its outputs are cut


def cuts(network: TwoStreamResNet, kept: Mapping[str, np.ndarray]) -> dict[str, Cut]:
    """Layer -> what is left of it, for the layers that lose something.

    Args:
        network: pruned or not; only its structure is read.
        kept: as for ``prune``.
    """
    found: dict[str, Cut] = {}
    before = None
    for block in _blocks(network):
        module, after = _block(network, block), kept.get(block)
        last = 3 if hasattr(module, "conv3") else 2
        layers = {"conv1": Cut(None, before), f"conv{last}": Cut(after, None), f"bn{last}": Cut(after, None)}
        if isinstance(module.downsample, nn.Sequential):
            layers |= {"downsample.0": Cut(after, before), "downsample.1": Cut(after, None)}
        found |= {f"{block}.{layer}": cut for layer, cut in layers.items()
                  if cut.outputs is not None or cut.inputs is not None}
        before = after
    return found


def cut_of(name: str, left: Mapping[str, Cut]) -> Cut | None:
    """What is left of a parameter or buffer of that name, if its layer, or the norm that it is a part of, lost any."""
    layer = name.rpartition(".")[0]
    return left.get(layer) or left.get(layer.rpartition(".")[0])


def sliced(value: Tensor, cut: Cut) -> Tensor:
    """What is left of a parameter or buffer of a layer; a batch norm's counter stays."""
    for dim, left in enumerate(cut):
        if left is not None and value.ndim > dim:
            value = value.index_select(dim, torch.from_numpy(left).to(value.device))
    return value


def _blocks(network: TwoStreamResNet) -> list[str]:
    return [f"{layer}.{index}" for layer in network.shared for index in range(_stage(network, layer).length)]


def _stage(network: TwoStreamResNet, layer: str) -> Stage:
    return getattr(network, layer)


def _block(network: TwoStreamResNet, name: str) -> BasicBlock | Bottleneck:
    layer, index = name.split(".")
    return getattr(_stage(network, layer), index)


def _ends(network: TwoStreamResNet, kept: Mapping[str, np.ndarray]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Of every shared block its name and the indices of its input's and its output's channels.

    The input of a block with a convolution in its shortcut is taken for as wide as its output: it is of no use.
    """
    ends, before = [], None
    for block in _blocks(network):
        full = np.arange(_stage(network, block.split(".")[0]).out_channels)
        after = kept.get(block, full)
        ends.append((block, full if before is None else before, after))
        before = after
    return ends
