"""The streams of a block for inference: layers at the same depth run together, streams that end stay behind.

Stream t has t layers, so layer 1 runs four streams at once, layer 2 three, and so on: 4 steps in place of 10. Layer 1
reads one map for all streams, hence its pointwise part is one convolution; from layer 2 on it is one batched matrix
product. Maps are in channels-last memory, where pixels [B H W] by channels are a matrix without moving anything.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.osnet_ain.convolutions import ConvNorm, LiteConv


class BatchedStreams(nn.Module):
    """The same maps as of T separate streams; their batch norms must be folded into their convolutions.

    Args:
        streams: the layers of each stream, all ``LiteConv`` or all ``ConvNorm``, in the order of execution.
    """

    def __init__(self, streams: Sequence[Sequence[nn.Module]]) -> None:
        super().__init__()
        order = sorted(range(len(streams)), key=lambda t: -len(streams[t]))  # those that run on are the first channels
        depths = range(max(map(len, streams)))
        self.layers = nn.ModuleList(_together([streams[t][depth] for t in order if len(streams[t]) > depth], depth == 0)
                                    for depth in depths)
        # For each stream the depth at which it ends, and its place among those that still run there.
        self.ends = [(len(layers) - 1, order.index(t)) for t, layers in enumerate(streams)]
        self.running = [sum(len(layers) > depth for layers in streams) for depth in depths]

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, c, H, W] to T maps of that shape."""
        channels, maps = x.shape[1], []
        for layer, running in zip(self.layers, self.running, strict=True):
            x = layer(x[:, :channels * running])  # layer 1 gets the map as it is
            maps.append(x)
        return [maps[depth][:, place * channels:(place + 1) * channels] for depth, place in self.ends]


def _together(layers: Sequence[nn.Module], first: bool) -> nn.Module:
    if lite := [layer for layer in layers if isinstance(layer, LiteConv)]:
        return _LiteLayers(lite, first)
    return _FullLayers([layer for layer in layers if isinstance(layer, ConvNorm)], first)


def _biases(convs: Iterable[nn.Conv2d]) -> Tensor:
    return torch.cat([conv.bias for conv in convs if conv.bias is not None])


class _LiteLayers(nn.Module):
    """n Lite 3x3 layers at once. The first n read the same c channels, later ones n c channels, c each."""

    pointwise: Tensor
    depthwise: Tensor
    bias: Tensor

    def __init__(self, layers: Sequence[LiteConv], first: bool) -> None:
        super().__init__()
        self.first = first
        pointwise = [layer.conv1.weight.flatten(1) for layer in layers]
        self.register_buffer("pointwise", torch.cat(pointwise) if first else torch.stack(pointwise).mT.contiguous())
        self.register_buffer("depthwise", torch.cat([layer.conv2.weight for layer in layers]))
        self.register_buffer("bias", _biases(layer.conv2 for layer in layers))

    def forward(self, x: Tensor) -> Tensor:
        """[B, c or n c, H, W] to [B, n c, H, W]."""
        pixels = x.permute(0, 2, 3, 1)
        mixed = F.linear(pixels, self.pointwise) if self.first else self._mix(pixels)
        return F.conv2d(mixed.permute(0, 3, 1, 2), self.depthwise, self.bias, padding=1, groups=len(self.bias)).relu_()

    def _mix(self, pixels: Tensor) -> Tensor:
        groups, channels = self.pointwise.shape[:2]
        mixed = pixels.new_empty(pixels.shape)
        per_stream = (tensor.reshape(-1, groups, channels).transpose(0, 1) for tensor in (pixels, mixed))
        source, target = per_stream
        torch.bmm(source, self.pointwise, out=target)  # a grouped convolution takes three times as long on one core
        return mixed


class _FullLayers(nn.Module):
    """n plain 3x3 convolutions at once; channels as in ``_LiteLayers``."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layers: Sequence[ConvNorm], first: bool) -> None:
        super().__init__()
        self.groups = 1 if first else len(layers)
        self.register_buffer("weight", torch.cat([layer.conv.weight for layer in layers]))
        self.register_buffer("bias", _biases(layer.conv for layer in layers))

    def forward(self, x: Tensor) -> Tensor:
        """[B, c or n c, H, W] to [B, n c, H, W]."""
        return F.conv2d(x, self.weight, self.bias, padding=1, groups=self.groups).relu_()
