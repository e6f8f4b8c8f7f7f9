"""Convolution whose backward pass keeps less and, for dilated kernels on a CPU, runs faster: ``bench.py dilated``."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_reid.modules.pointwise import thinned


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
    if stride == dilation > 1:  # all taps fall on every stride-th pixel: a dense kernel on those
        x, padding, stride, dilation = thinned(x, stride), padding // dilation, 1, 1
    device = x.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)  # a custom function has to follow autocast by itself
        x, weight = x.to(dtype), weight.to(dtype)
    return _GroupedConv.apply(x, weight, (stride, padding, dilation, groups), sources, targets)


class _GroupedConv(torch.autograd.Function):

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, geometry: tuple[int, int, int, int], sources: int,
                targets: int) -> Tensor:
        """The convolution of inputs that several edges share."""
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        ctx.shape, ctx.geometry, ctx.fan = x.shape, geometry, (sources, targets)
        return F.conv2d(_repeat(x, sources, targets), weight, None, *geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of x and weight."""
        saved, weight = ctx.saved_tensors
        (stride, padding, dilation, groups), (sources, targets), shape = ctx.geometry, ctx.fan, ctx.shape
        x = None if saved is None else _repeat(saved, sources, targets)
        by_phase = dilation > 1 and stride == 1 and grad.device.type == "cpu"
        if by_phase:  # oneDNN's backward for dilated depthwise kernels is slow: use the dense one
            grad, x = _to_phases(grad, dilation), None if x is None else _to_phases(x, dilation)
            shape, padding = (len(grad), shape[1], *grad.shape[2:]), padding // dilation
        if x is None:  # no weight gradient: only shape and memory format of the input are read
            x = from_tokens(grad.new_empty(shape[0], *shape[2:], shape[1] * targets))
        grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
            grad, x, weight, None, (stride,) * 2, (padding,) * 2, (1 if by_phase else dilation,) * 2, False, (0, 0),
            groups, (ctx.needs_input_grad[0], ctx.needs_input_grad[1], False))
        if grad_x is not None and by_phase:
            grad_x = _from_phases(grad_x, dilation, ctx.shape)
        if grad_x is not None and targets > 1:
            grad_x = from_tokens(to_tokens(grad_x).unflatten(-1, (sources, targets, -1)).sum(-2).flatten(3))
        return grad_x, grad_weight, None, None, None


def _to_phases(x: Tensor, dilation: int) -> Tensor:
    """The d x d grids of every d-th pixel, side by side in the batch: a kernel of dilation d is dense on each.

    [B, C, H, W] to [d d B, C, ceil(H / d), ceil(W / d)], with zeros where the last rows or columns are missing.
    """
    height, width = x.shape[2:]
    tokens = to_tokens(F.pad(x, (0, -width % dilation, 0, -height % dilation)))
    tokens = tokens.unflatten(2, (-1, dilation)).unflatten(1, (-1, dilation))  # [B, H', d, W', d, C]
    return from_tokens(tokens.permute(2, 4, 0, 1, 3, 5).flatten(0, 2))


def _from_phases(x: Tensor, dilation: int, shape: torch.Size) -> Tensor:
    """Inverse of ``_to_phases`` for maps of height and width ``shape[2:]``."""
    tokens = to_tokens(x).unflatten(0, (dilation, dilation, -1)).permute(2, 3, 0, 4, 1, 5)
    return from_tokens(tokens.flatten(3, 4).flatten(1, 2)[:, :shape[2], :shape[3]])


def _repeat(x: Tensor, sources: int, targets: int) -> Tensor:
    """Each source's channels E times: [B, S c, H, W] to [B, S E c, H, W]."""
    if targets == 1:
        return x
    per_source = to_tokens(x).unflatten(-1, (sources, 1, -1))
    return from_tokens(per_source.expand(-1, -1, -1, -1, targets, -1).flatten(3))
