"""Instance norm that stays in channels-last memory on a CPU.

torch moves a map to the other memory order, normalises it there and leaves it so: the maps that are added to it later
then lie across, and a block of OSNet-AIN's search network spends a quarter of its time on that (docs/benchmarks.md).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.jit import is_tracing  # type: ignore[attr-defined]  # torch does not list it
from torch.nn import functional as F


def instance_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """As ``torch.nn.functional.instance_norm`` without running statistics. Differentiable any number of times.

    Args:
        x: [B, C, H, W].
        weight, bias: [C], or neither.
        eps: added to the variance.

    Returns:
        [B, C, H, W], in channels-last memory if ``x`` is.
    """
    if not _stays(x):
        return F.instance_norm(x, weight=weight, bias=bias, eps=eps)
    y: Tensor = _Normalised.apply(x, eps)[0]
    return y if weight is None or bias is None else torch.addcmul(bias[:, None, None], y, weight[:, None, None])


class InstanceNorm(nn.InstanceNorm2d):
    """``nn.InstanceNorm2d`` by ``instance_norm``; no running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W], the same shape out."""
        return instance_norm(x, self.weight, self.bias, self.eps)


def _stays(x: Tensor) -> bool:
    """Whether a map is worth it: on a CPU, in that memory alone, and seen by no compiler or exporter."""
    if torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export() or is_tracing():
        return False
    return (x.device.type == "cpu" and x.shape[2] * x.shape[3] > 1 and not x.is_contiguous()
            and x.is_contiguous(memory_format=torch.channels_last))


class _Normalised(torch.autograd.Function):
    """x̂ = (x - μ) r and r = 1/√(σ² + ε) of each map of n pixels. With g and s their gradients, that of x is
    r · (g - Σg/n - x̂ · (Σ(g·x̂) + s·r)/n). Only the outputs are kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        """x̂, [B, C, H, W], and r, [B, C, 1, 1]."""
        y = x - x.mean((2, 3), keepdim=True)  # first of all: a sum of squares would cancel (torch's group norm does)
        inverse = (y * y).mean((2, 3), keepdim=True).add_(eps).rsqrt_()
        y.mul_(inverse)
        ctx.save_for_backward(y, inverse)
        return y, inverse

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, of_inverse: Tensor) -> tuple[Tensor, None]:
        """The gradient of x from those of x̂ and r."""
        y, inverse = ctx.saved_tensors
        pixels = y.shape[2] * y.shape[3]
        mean = gradient.mean((2, 3), keepdim=True)
        along = (gradient * y).mean((2, 3), keepdim=True) + of_inverse * inverse / pixels
        return torch.addcmul(-mean * inverse, y, -along * inverse).addcmul_(gradient, inverse), None
