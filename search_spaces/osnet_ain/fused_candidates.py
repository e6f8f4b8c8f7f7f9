"""The four separate candidates of a searched block, run together: equal to the plain form up to summation order.

Candidates have weights and running statistics of their own and the same layers, except for the norms after the last
convolution. So every layer runs once for all of them, over their own parameters: as one convolution where they read
the block's input, as grouped ones behind it, and as one batch norm over all channels. Less than half the launches, on
maps four times as large: good for small maps and for devices that wait for launches, bad for a CPU's cache. Maps are
in channels-last memory, their channels run over (candidate, channel).
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_reid.modules.instance_norm import instance_norm
from nas_reid.modules.sampled import mixture
from search_spaces.osnet_ain.block import OSBlock
from search_spaces.osnet_ain.candidates import SeparateCandidates
from search_spaces.osnet_ain.convolutions import ConvNorm, LiteConv
from search_spaces.osnet_ain.fused_fusion import fuse
from search_spaces.osnet_ain.grouped_conv import grouped_conv

# Both of a pair normalise alike inside, the second of each outside, too.
_PAIRS = (("os", "os_out"), ("os_in", "os_in_out"))


class FusedCandidates(SeparateCandidates):
    """``SeparateCandidates``, of which a mixture runs all four at once; a sampled one runs as there."""

    def forward(self, x: Tensor, weights: Tensor, chosen: int | None, all_gradients: bool) -> Tensor:
        """See ``SeparateCandidates.forward``."""
        if chosen is None:
            return fused_mixture(cast(Mapping[str, OSBlock], self), x, weights)
        return super().forward(x, weights, chosen, all_gradients)


def fused_mixture(candidates: Mapping[str, OSBlock], x: Tensor, weights: Tensor) -> Tensor:
    """sum_k weights_k * block_k(x).

    Args:
        candidates: placement -> block, in the order of the weights.
        x: [B, in_channels, H, W].
        weights: [4].

    Returns:
        [B, out_channels, H, W] in channels-last memory.
    """
    pairs = [[candidates[name] for name in pair] for pair in _PAIRS]
    blocks = list(chain(*pairs))
    x = x.contiguous(memory_format=torch.channels_last)
    middle = _conv_norm(x, [block.conv1 for block in blocks])
    streams = [_stream(middle, [list(block.conv2[t].get_submodule("layers").children()) for block in blocks])
               for t in range(len(blocks[0].conv2))]
    fused = fuse([block.gate for block in blocks], streams).chunk(len(pairs), dim=1)
    outputs = {name: y for names, pair, part in zip(_PAIRS, pairs, fused, strict=True)
               for name, y in zip(names, _pair_outputs(pair, part, x), strict=True)}
    return mixture(weights, [outputs[name].relu for name in candidates])


class RunningNorm(Protocol):
    """A batch norm that keeps running statistics with a momentum, as the blocks' are."""

    training: bool
    num_features: int
    momentum: float
    eps: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor


def _norm_of(layer: ConvNorm | LiteConv) -> RunningNorm:
    return cast(RunningNorm, layer.bn)


def batch_norm(x: Tensor, norms: Sequence[RunningNorm]) -> Tensor:
    """Batch norm of maps side by side, [B, sum of channels, H, W]; each norm's running statistics are kept up."""
    mean, variance = torch.cat([norm.running_mean for norm in norms]), torch.cat([norm.running_var for norm in norms])
    y = F.batch_norm(x, mean, variance, training=norms[0].training, momentum=norms[0].momentum, eps=norms[0].eps)
    if norms[0].training:
        sizes = [norm.num_features for norm in norms]
        buffers = [norm.running_mean for norm in norms] + [norm.running_var for norm in norms]
        torch._foreach_copy_(buffers, [*mean.split(sizes), *variance.split(sizes)])
        torch._foreach_add_([norm.num_batches_tracked for norm in norms], 1)
    return y


def _conv_norm(x: Tensor, layers: Sequence[ConvNorm]) -> Tensor:
    """Convolution, batch norm and, where the layers have one, ReLU."""
    return layers[0].relu(batch_norm(grouped_conv(x, [layer.conv for layer in layers]), list(map(_norm_of, layers))))


def _stream(x: Tensor, streams: Sequence[Sequence[nn.Module]]) -> Tensor:
    """The candidates' streams of one scale, layer by layer."""
    for layers in zip(*streams, strict=True):
        lite = [layer for layer in layers if isinstance(layer, LiteConv)]
        x = _lite(x, lite) if lite else _conv_norm(x, [layer for layer in layers if isinstance(layer, ConvNorm)])
    return x


def _lite(x: Tensor, layers: Sequence[LiteConv]) -> Tensor:
    x = grouped_conv(grouped_conv(x, [layer.conv1 for layer in layers]), [layer.conv2 for layer in layers])
    return batch_norm(x, list(map(_norm_of, layers))).relu()


def _pair_outputs(blocks: Sequence[OSBlock], fused: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs [B, C, H, W] of two candidates before the last ReLU, from their fused streams and the block's input."""
    residual = grouped_conv(fused, [block.conv3.conv for block in blocks])
    residual = (instance_norm(residual) if blocks[0].placement.inside
                else batch_norm(residual, [_norm_of(block.conv3) for block in blocks]))
    if shortcuts := [block.downsample for block in blocks if isinstance(block.downsample, ConvNorm)]:
        plain, outside = (residual + _conv_norm(x, shortcuts)).chunk(2, dim=1)
    else:
        plain, outside = (part + x for part in residual.chunk(2, dim=1))
    return plain, instance_norm(outside)
