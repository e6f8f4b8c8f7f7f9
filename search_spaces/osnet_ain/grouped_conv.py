"""Convolutions of several modules as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def grouped_conv(x: Tensor, convs: Sequence[nn.Conv2d]) -> Tensor:
    """What convolutions of equal shape and of stride 1 give, side by side.

    Args:
        x: [B, c, H, W], a map that all of them read, or [B, G c, H, W], a map for each.
        convs: the G modules, of c input channels.

    Returns:
        [B, G c', H', W'].
    """
    weight = torch.cat([conv.weight for conv in convs])
    biases = [conv.bias for conv in convs if conv.bias is not None]
    bias = torch.cat(biases) if biases else None
    # Also right for depthwise convolutions, whose weights have one input channel.
    return F.conv2d(x, weight, bias, padding=convs[0].padding, groups=x.shape[1] // weight.shape[1])
