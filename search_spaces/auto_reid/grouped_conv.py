"""A convolution that keeps less for its backward pass."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def to_tokens(x: Tensor) -> Tensor:
    """[B, C, H, W] seen as [B, H, W, C]; contiguous when ``x`` is in channels-last memory."""
    return x.permute(0, 2, 3, 1)


def from_tokens(x: Tensor) -> Tensor:
    """[B, H, W, C] seen as [B, C, H, W]."""
    return x.permute(0, 3, 1, 2)


def grouped_conv(x: Tensor, weight: Tensor, *, groups: int, stride: int = 1, padding: int = 0, dilation: int = 1,
                 sources: int = 1, targets: int = 1) -> Tensor:
    """``conv2d`` of ``x`` with each of its S sources repeated E times, equal in value and in every derivative.

    The repeated input is not stored but rebuilt in the backward pass, and the input is stored at all only where
    the weights need a gradient: not in an architecture step with frozen weights.

    Args:
        x: [B, S c, H, W] in channels-last memory.
        weight: [out, S E c / groups, k, k].
        groups, stride, padding, dilation: as of ``conv2d``.
        sources: S.
        targets: E; 1 repeats nothing.

    Returns:
        [B, out, H', W'] in channels-last memory.
    """
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)  # a custom function has to follow autocast by itself
        x, weight = x.to(dtype), weight.to(dtype)
    return _GroupedConv.apply(x, weight, (stride, padding, dilation, groups), sources, targets)


class _GroupedConv(torch.autograd.Function):

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: tuple[int, int, int, int], sources: int,
                targets: int) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        ctx.shape, ctx.geometry, ctx.fan = x.shape, geometry, (sources, targets)
        return F.conv2d(_repeat(x, sources, targets), weight, None, *geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        (stride, padding, dilation, groups), (sources, targets) = ctx.geometry, ctx.fan
        batch, channels, *size = ctx.shape
        # Without a weight gradient only the input's shape and memory format are read.
        repeated = (_repeat(x, sources, targets) if x is not None else
                    from_tokens(grad.new_empty(batch, *size, channels * targets)))
        grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
            grad, repeated, weight, None, (stride,) * 2, (padding,) * 2, (dilation,) * 2, False, (0, 0), groups,
            (ctx.needs_input_grad[0], ctx.needs_input_grad[1], False))
        if grad_x is not None and targets > 1:
            grad_x = from_tokens(to_tokens(grad_x).unflatten(-1, (sources, targets, -1)).sum(-2).flatten(3))
        return grad_x, grad_weight, None, None, None


def _repeat(x: Tensor, sources: int, targets: int) -> Tensor:
    """Each source's channels E times: [B, S c, H, W] to [B, S E c, H, W]."""
    if targets == 1:
        return x
    per_source = to_tokens(x).unflatten(-1, (sources, 1, -1))
    return from_tokens(per_source.expand(-1, -1, -1, -1, targets, -1).flatten(3))
