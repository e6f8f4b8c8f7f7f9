"""Backward passes of the dilated depthwise convolutions in Auto-ReID's cells."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measurement import Comparison, Setting
from search_spaces.auto_reid.grouped_conv import grouped_conv

_SHAPES = ((32, 64, 32, 16), (32, 128, 16, 8), (32, 256, 8, 4))
_PAPER = ((16, 64, 96, 32), (16, 128, 48, 16), (16, 256, 24, 8))


def dilated(setting: Setting) -> Iterator[Comparison]:
    """A 3 x 3 kernel of dilation 2 on its phases, one dense kernel on each, against the dilated one."""
    for shape in _PAPER if setting.paper else _SHAPES:
        torch.manual_seed(0)
        x, grad = (torch.randn(shape, device=setting.device).to(memory_format=torch.channels_last) for _ in range(2))
        weight = torch.randn(shape[1], 1, 3, 3, device=setting.device)
        inputs = (x.requires_grad_(), weight.requires_grad_())
        ours = grouped_conv(*inputs, groups=shape[1], padding=2, dilation=2)
        plain = F.conv2d(*inputs, None, 1, 2, 2, shape[1])
        yield Comparison(f"dilated depthwise backward, {'×'.join(map(str, shape))}", _backward(ours, inputs, grad),
                         _backward(plain, inputs, grad), "the backward pass of conv2d", rounds=15)


def _backward(output: Tensor, inputs: tuple[Tensor, ...], grad: Tensor) -> Callable[[], object]:
    return lambda: torch.autograd.grad(output, inputs, grad, retain_graph=True)
