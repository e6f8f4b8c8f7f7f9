"""Running the sampled choice alone, and what that leaves of the alphas' gradient."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor


def mixture(weights: Tensor, ops: Sequence[Callable[[], Tensor]]) -> Tensor:
    """``sum_k weights_k * ops_k()`` of [K] weights and K outputs of one shape."""
    return reduce(torch.add, (weight * op() for weight, op in zip(weights.unbind(), ops, strict=True)))


def sampled_mixture(weights: Tensor, ops: Sequence[Callable[[], Tensor]], chosen: int, *,
                    all_gradients: bool) -> Tensor:
    """``mixture`` under one-hot straight-through weights, of which only the chosen op is run with a gradient.

    The gradients of the inputs and of the ops' parameters are those of ``mixture``, since the other weights are zero.
    That of a weight is <dL/dout, op_k()>, which needs the op's output: without ``all_gradients`` only the chosen
    weight gets its own (GDAS), with it all do, exactly, for one more forward of each op. Nothing inside these is kept.

    Args:
        weights: [K], one-hot in value.
        ops: one callable per choice.
        chosen: index of the one.
        all_gradients: give the other weights their gradients too; without effect where ``weights`` needs none.
    """
    if not weights.requires_grad:
        return ops[chosen]()
    mixed: Tensor = _TimesOne.apply(weights[chosen], ops[chosen]())
    if all_gradients:
        for choice, op in enumerate(ops):
            if choice != chosen:
                with torch.no_grad():
                    output = op()
                mixed = mixed + weights[choice] * output
    return mixed


class _TimesOne(torch.autograd.Function):
    """w · y for a weight w of value 1, without the products of that."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, y: Tensor) -> Tensor:
        """A view of y."""
        ctx.save_for_backward(weight, y)
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of w, a number, and of y."""
        weight, y = ctx.saved_tensors
        of_weight = (gradient * y).sum().to(weight.dtype)
        # The product counts where this is differentiated again.
        return of_weight, gradient * weight.to(gradient.dtype) if torch.is_grad_enabled() else gradient
