"""Batch norms with the statistics of the whole batch, of which each process holds a part.

torch's ``SyncBatchNorm`` replaces modules, so that it does not reach a norm that is called as a function, refuses CPUs,
and cannot be differentiated twice. Here every ``torch.nn.functional.batch_norm`` within a block is exchanged; see
``whole_batch``.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.parallel.tensors import gather, total


def batch_norm(x: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
               weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False, momentum: float = 0.1,
               eps: float = 1e-5) -> Tensor:
    """As ``torch.nn.functional.batch_norm`` of the rows of all processes. Differentiable twice.

    The processes may hold different numbers of rows, but each must call, and none may be without rows. Statistics are
    computed in float32 or, for float64, in that. Without ``training``, and on the meta device, it is torch's.

    Args:
        x: [B, C, ...], this process's part.
        running_mean, running_var, weight, bias: [C]; running statistics are kept up in place, equal everywhere.
        training, momentum, eps: as of torch's.
    """
    if not training or x.is_meta:
        return functional.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    y, mean, var, count = _Normalised.apply(x, weight, bias, eps)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((var * (count / (count - 1))).to(running_var.dtype), momentum)
    return y


class _Normalised(torch.autograd.Function):
    """Batch norm (Ioffe and Szegedy 2015) that keeps its input alone, as torch's does.

    With x̂ = (x - μ)/σ, g the gradient of the sum of all processes' losses and n rows in all, that of x is
    w/σ · (g - Σg/n - x̂ · Σ(g·x̂)/n); sums run over all processes. Where it is differentiated again, the statistics are
    computed anew as functions of x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None,
                eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The normalised maps, and mean, variance and count over all processes."""
        mean, var, count = _statistics(x)
        scale = (var + eps).rsqrt() if weight is None else (var + eps).rsqrt() * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        y = (_wide(x) * _along(scale, x) + _along(shift, x)).to(x.dtype)
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps, ctx.has_bias = eps, bias is not None
        ctx.mark_non_differentiable(mean, var, count)
        return y, mean, var, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        """The gradients of x, weight and bias; those of x see all processes."""
        x, weight, mean, var, count = ctx.saved_tensors
        if torch.is_grad_enabled():  # it will be differentiated again
            mean, var, count = _statistics(x)
        g, inverse = _wide(gradient), (var + ctx.eps).rsqrt()
        normalised = (_wide(x) - _along(mean, x)) * _along(inverse, x)
        dims = _rows(x)
        own = torch.stack([g.sum(dims), (g * normalised).sum(dims)])
        means = total(own) / count
        scale = inverse if weight is None else inverse * weight
        of_x = (g - _along(means[0], x) - normalised * _along(means[1], x)) * _along(scale, x)
        return (of_x.to(x.dtype), None if weight is None else own[1].to(weight.dtype),
                own[0].to(mean.dtype) if ctx.has_bias else None, None)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance [C] of all processes' rows, and their number [1]; one exchange.

    The variance of the parts' means is added to the mean of their variances: nothing cancels.
    """
    var, mean = torch.var_mean(_wide(x), _rows(x), correction=0)
    count = torch.full_like(mean[:1], x.numel() / x.shape[1])
    parts = gather(torch.cat([mean, var, count])[None])                       # [processes, 2 C + 1]
    means, variances, counts = parts.split([len(mean), len(var), 1], dim=1)
    number = counts.sum(0)
    share = counts / number
    mean = (share * means).sum(0)
    return mean, (share * (variances + (means - mean).square())).sum(0), number


def _rows(x: Tensor) -> list[int]:
    return [dim for dim in range(x.ndim) if dim != 1]


def _along(vector: Tensor, x: Tensor) -> Tensor:
    """[C] as [1, C, 1, ...]."""
    return vector.view(1, -1, *[1] * (x.ndim - 2))


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()
