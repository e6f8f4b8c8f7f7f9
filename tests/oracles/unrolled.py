"""The unrolled architecture gradient by differentiating straight through the virtual step.

L_val(w - xi (mu b + dL_train/dw + lambda w), alpha) is written as one function of alpha, and autograd
differentiates it; no Hessian-vector product appears. Slow, and as close to the definition as code gets.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Loss = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor]


def unrolled_gradient(
    train_loss: Loss,
    val_loss: Loss,
    weights: Mapping[str, Tensor],
    alphas: Mapping[str, Tensor],
    *,
    xi: float,
    momentum: float,
    weight_decay: float,
    momentum_buffers: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """d/d alpha of L_val(w'(alpha), alpha), by decision."""
    names = list(weights)
    w = [weights[name].detach().clone().requires_grad_(True) for name in names]
    slopes = torch.autograd.grad(train_loss(dict(zip(names, w, strict=True)), alphas), w, create_graph=True)
    stepped = {}
    for name, value, slope in zip(names, w, slopes, strict=True):
        stepped[name] = value - xi * (momentum * momentum_buffers[name] + slope + weight_decay * value)
    composed = val_loss(stepped, alphas)
    return dict(zip(alphas, torch.autograd.grad(composed, list(alphas.values())), strict=True))
