"""The architecture gradient: what the validation loss says about the alphas.

A loss is a function of (weights by name, alphas by decision). Building it with ``torch.func.functional_call``
lets a virtual step replace the weights without a copy of the network. Nothing here changes a live parameter or
touches a ``.grad``; buffers such as running statistics do see every forward. The single-level scheme needs nothing
from here: its gradient is one ordinary backward pass of the weights' loss with the alphas attached.

Under several processes a loss is that of this process's part of the batch, and gradients are the means of all.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.parallel.tensors import average

Tensors = Mapping[str, Tensor]
Loss = Callable[[Tensors, Tensors], Tensor]

HESSIANS = ("finite_difference", "exact")


def first_order(val_loss: Loss, weights: Tensors, alphas: Tensors, *,
                watch: Callable[[Tensors], None] | None = None,
                watched: Collection[str] = ()) -> tuple[Tensor, dict[str, Tensor]]:
    """∇α L_val(w, α): DARTS (Liu et al., 2019), §2.3 with ξ = 0.

    Args:
        val_loss: the loss that the alphas minimise.
        weights: by name; passed on detached, so that the backward pass saves nothing for them.
        alphas: decision -> [R, K], requiring a gradient.
        watch: called with ∇w L_val of the ``watched`` weights, by name.
        watched: names of weights.

    Returns:
        The detached loss, and the gradient of every alpha (zeros where the loss does not depend on it).
    """
    leaves = _leaves({name: weights[name] for name in weights if name in watched})
    loss = val_loss({**_detached(weights), **leaves}, alphas)
    gradient, seen = _gradients(loss, alphas, leaves)
    if watch is not None:
        watch(seen)
    return loss.detach(), gradient


def second_order(
    train_loss: Loss,
    val_loss: Loss,
    weights: Tensors,
    alphas: Tensors,
    *,
    xi: float,
    momentum: float,
    weight_decay: float,
    momentum_buffers: Tensors,
    hessian: str,
    epsilon: float = 0.01,
) -> tuple[Tensor, dict[str, Tensor]]:
    """∇α L_val(w′(α), α) through one virtual step of the weights: DARTS, Eqs. 6-8.

    The virtual step is that of ``torch.optim.SGD`` without Nesterov or dampening,
    w′ = w − ξ·(μ·buffer + ∇w L_train(w, α) + λ·w). With v = ∇w′ L_val(w′, α), the gradient is
    ∇α L_val(w′, α) − ξ·∇²αw L_train(w, α)·v; the product is either the paper's central difference
    [∇α L_train(w + εv, α) − ∇α L_train(w − εv, α)] / (2ε) or exact by double backward.
    Kinks of ReLU that ±εv crosses make the central difference noisy; smooth activations or ``exact`` do not suffer.
    Everything is computed in full float32: TF32, in which a GPU multiplies by default, is off meanwhile.

    Args:
        train_loss: the loss that the weights minimise. Both losses must give the same value for the same
            arguments: noise and batch fixed, no autocast to half precision.
        val_loss: the loss that the alphas minimise.
        weights: the trainable weights by name, float32 or float64.
        alphas: decision -> [R, K], requiring a gradient.
        xi: learning rate of the virtual step, ξ; DARTS takes the current one of the weights.
        momentum: μ of the weight optimiser.
        weight_decay: λ of the weight optimiser.
        momentum_buffers: name -> buffer; a missing one is zero, as before the first step.
        hessian: one of ``HESSIANS``.
        epsilon: ε·‖v‖ of the central difference.

    Returns:
        The detached L_val(w′, α), and the gradient of every alpha.

    Raises:
        ConfigError: unknown ``hessian``, or weights below float32, whose resolution swallows the difference.
    """
    if hessian not in HESSIANS:
        raise ConfigError(f"unknown hessian {hessian!r}; choose one of {list(HESSIANS)}")
    low = sorted({str(weight.dtype) for weight in weights.values() if torch.finfo(weight.dtype).bits < 32})
    if low:
        raise ConfigError(f"second order needs weights in float32, these are {low}; convert them or use first_order")
    is_exact = hessian == "exact"
    weights = _leaves(weights)
    with torch.autocast(next(iter(weights.values())).device.type, enabled=False), _without_tf32():
        loss = train_loss(weights, alphas if is_exact else _detached(alphas))
        (slopes,) = _gradients(loss, weights, create_graph=is_exact)
        virtual = _leaves(_sgd_step(weights, _averaged(slopes), xi, momentum, weight_decay, momentum_buffers))
        loss = val_loss(virtual, alphas)
        vector, direct = _gradients(loss, virtual, alphas)
        if is_exact:
            (curvature,) = _gradients(torch.stack([(slopes[n] * vector[n]).sum() for n in slopes]).sum(), alphas)
        else:
            curvature = _central_difference(train_loss, weights, alphas, vector, epsilon)
    return loss.detach(), {name: direct[name] - xi * curvature[name] for name in alphas}


def _gradients(loss: Tensor, *groups: Tensors, create_graph: bool = False) -> tuple[dict[str, Tensor], ...]:
    """Gradients of the loss by name, one dict per group; leaves every ``.grad`` alone.

    Those that keep a graph are this process's part, and the mean is left to what is computed from them.
    """
    tensors = [tensor for group in groups for tensor in group.values()]
    gradients = torch.autograd.grad(loss, tensors, create_graph=create_graph, materialize_grads=True)
    rest = iter(gradients if create_graph else average(gradients))
    return tuple({name: next(rest) for name in group} for group in groups)


def _averaged(slopes: Tensors) -> Tensors:
    """Means over the processes of gradients that may keep a graph."""
    return dict(zip(slopes, average(list(slopes.values())), strict=True))


def _sgd_step(
    weights: Tensors, slopes: Tensors, lr: float, momentum: float, weight_decay: float, buffers: Tensors
) -> dict[str, Tensor]:
    stepped = {}
    for name, weight in weights.items():
        direction = slopes[name] + weight_decay * weight
        if name in buffers:
            direction = direction + momentum * buffers[name]
        stepped[name] = weight - lr * direction
    return stepped


def _central_difference(
    train_loss: Loss, weights: Tensors, alphas: Tensors, vector: Tensors, epsilon: float
) -> dict[str, Tensor]:
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(v) for v in vector.values()]))
    step = epsilon / norm.clamp_min(torch.finfo(norm.dtype).tiny)  # a zero vector gives a zero product, not nan
    with torch.no_grad():  # around w, not around the virtual w'
        above = {name: weight + step * vector[name] for name, weight in weights.items()}
        below = {name: weight - step * vector[name] for name, weight in weights.items()}
    (plus,), (minus,) = (_gradients(train_loss(shifted, alphas), alphas) for shifted in (above, below))
    return {name: (plus[name] - minus[name]) / (2 * step) for name in alphas}


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Convolutions and products in float32 proper; 10 bits of mantissa are too few to be differentiated twice."""
    backends: tuple[Any, ...] = torch.backends.cudnn, torch.backends.cuda.matmul
    allowed = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = False
        yield
    finally:
        for backend, value in zip(backends, allowed, strict=True):
            backend.allow_tf32 = value


def _detached(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in tensors.items()}


def _leaves(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}
