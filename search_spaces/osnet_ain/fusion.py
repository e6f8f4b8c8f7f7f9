"""How the streams of a block become one map: the variants of the paper's Table 5.

Each is built as ``FUSIONS[name](channels, streams)``, carries ``out_channels``, and maps a list of maps
[B, channels, H, W] to one map [B, out_channels, H, W].
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn

REDUCTION = 16


class UnifiedGate(nn.Module):
    """Sum of the streams, each times the gates that one small network reads off it (Eq. 3): the paper's choice.

    GAP -> 1x1 conv to ``channels // 16`` -> ReLU -> 1x1 conv -> sigmoid. All streams share the network, so its
    gradient sees every scale (Eq. 4).

    Args:
        channels: of each stream.
        streams: number of streams; the shared network does not depend on it.
        per_channel: one gate per channel; False: one for the whole stream (model 7).
    """

    def __init__(self, channels: int, streams: int, *, per_channel: bool = True) -> None:
        super().__init__()
        self.out_channels = channels
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels if per_channel else 1, 1)

    def gates(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """A gate [B, channels or 1, 1, 1] in (0, 1) for each stream."""
        # The streams' pooled features go through the network as one batch: the same numbers in a quarter of the calls.
        pooled = torch.cat([x.mean((2, 3), keepdim=True) for x in streams])                    # [T * B, channels, 1, 1]
        return list(self.fc2(self.fc1(pooled).relu()).sigmoid().unflatten(0, (len(streams), -1)).unbind())

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Gate and add."""
        return gated_sum(self.gates(streams), streams)


class SeparateGates(nn.ModuleList):
    """As ``UnifiedGate``, with a network of its own for each stream (model 6)."""

    def __init__(self, channels: int, streams: int) -> None:
        super().__init__(UnifiedGate(channels, 1) for _ in range(streams))
        self.out_channels = channels

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Gate and add."""
        return _sum([gate([x]) for gate, x in zip(self, streams, strict=True)])


class StaticGates(nn.Module):
    """Gates that are learned and then the same for every image (model 8), one per stream and channel."""

    def __init__(self, channels: int, streams: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.logits = nn.Parameter(torch.zeros(streams, channels, 1, 1))

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Gate and add."""
        return gated_sum(self.logits.sigmoid(), streams)


class Addition(nn.Module):
    """Sum of the streams (model 5)."""

    def __init__(self, channels: int, streams: int) -> None:
        super().__init__()
        self.out_channels = channels

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Add."""
        return _sum(streams)


class Concatenation(nn.Module):
    """The streams side by side (model 4); the block's last convolution mixes them."""

    def __init__(self, channels: int, streams: int) -> None:
        super().__init__()
        self.out_channels = channels * streams

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Concatenate."""
        return torch.cat(list(streams), dim=1)


def gated_sum(gates: Iterable[Tensor], streams: Sequence[Tensor]) -> Tensor:
    """sum_t gates_t * streams_t, of gates that broadcast with the streams [B, channels, H, W]."""
    (gate, stream), *others = zip(gates, streams, strict=True)
    return reduce(lambda total, pair: torch.addcmul(total, *pair), others, gate * stream)


def _sum(tensors: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, tensors)


Fusion = UnifiedGate | SeparateGates | StaticGates | Addition | Concatenation
FUSIONS: dict[str, Callable[[int, int], Fusion]] = {
    "unified": UnifiedGate,
    "stream_wise": partial(UnifiedGate, per_channel=False),
    "separate": SeparateGates,
    "static": StaticGates,
    "addition": Addition,
    "concatenation": Concatenation,
}
GATED = ("unified", "stream_wise", "separate")  # have a hidden layer, which needs REDUCTION channels
