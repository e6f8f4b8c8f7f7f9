"""The fusions of ``fusion``, each for all candidates of a block at once."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.osnet_ain.fusion import Addition, Concatenation, SeparateGates, StaticGates, UnifiedGate, gated_sum
from search_spaces.osnet_ain.grouped_conv import grouped_conv


def fuse(fusions: Sequence[nn.Module], streams: Sequence[Tensor]) -> Tensor:
    """Fuse the streams of each candidate.

    Args:
        fusions: G of one kind, one per candidate.
        streams: T maps [B, G c, H, W].

    Returns:
        [B, G c', H, W], where c' is a fusion's ``out_channels``.
    """
    return _FUSED[type(fusions[0])](fusions, streams)


def _unified(fusions: Sequence[UnifiedGate], streams: Sequence[Tensor]) -> Tensor:
    pooled = torch.cat([x.mean((2, 3), keepdim=True) for x in streams])                        # [T B, G c, 1, 1]
    hidden = grouped_conv(pooled, [fusion.fc1 for fusion in fusions]).relu()
    gates = grouped_conv(hidden, [fusion.fc2 for fusion in fusions]).sigmoid()                 # [T B, G c or G, 1, 1]
    gates = gates.repeat_interleave(pooled.shape[1] // gates.shape[1], dim=1)
    return gated_sum(gates.unflatten(0, (len(streams), -1)).unbind(), streams)


def _separate(fusions: Sequence[SeparateGates], streams: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, (_unified(gates, [x]) for *gates, x in zip(*fusions, streams, strict=True)))


def _static(fusions: Sequence[StaticGates], streams: Sequence[Tensor]) -> Tensor:
    return gated_sum(torch.cat([fusion.logits for fusion in fusions], dim=1).sigmoid(), streams)


def _addition(fusions: Sequence[Addition], streams: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, streams)


def _concatenation(fusions: Sequence[Concatenation], streams: Sequence[Tensor]) -> Tensor:
    return torch.stack([x.unflatten(1, (len(fusions), -1)) for x in streams], dim=2).flatten(1, 3)


_FUSED: dict[type[nn.Module], Callable[[Sequence[Any], Sequence[Tensor]], Tensor]] = {
    UnifiedGate: _unified,
    SeparateGates: _separate,
    StaticGates: _static,
    Addition: _addition,
    Concatenation: _concatenation,
}
