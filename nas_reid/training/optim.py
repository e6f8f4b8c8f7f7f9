"""Optimisers by name, and learning rates as a pure function of progress: resuming needs only the epoch."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nas_reid.errors import ConfigError


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    *,
    weight_decay: float,
    decay_vectors: bool = True,
    bias_lr_factor: float = 1.0,
    head_lr_factor: float = 1.0,
) -> list[dict[str, Any]]:
    """The parameters that require a gradient, grouped by weight decay and by factor of the learning rate.

    Args:
        named: names and parameters in a reproducible order, as ``named_parameters()`` gives them: an optimiser's
            checkpoint is positional.
        weight_decay: >= 0.
        decay_vectors: False exempts biases and the scales of norms (parameters of at most one dimension).
        bias_lr_factor: of parameters named ``bias``, those of norms included (2 in FastReID v0.1).
        head_lr_factor: of parameters below ``head.``; multiplies with the former.

    Returns:
        Groups for ``build_optimizer``, each with its ``lr_factor``; a single one with the defaults.
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in named:
        if not parameter.requires_grad:
            continue
        decay = weight_decay if decay_vectors or parameter.ndim > 1 else 0.0
        factor = ((bias_lr_factor if name.rpartition(".")[2] == "bias" else 1.0)
                  * (head_lr_factor if name.startswith("head.") else 1.0))
        group = groups.setdefault((decay, factor), {"params": [], "weight_decay": decay, "lr_factor": factor})
        group["params"].append(parameter)
    return list(groups.values())


def build_optimizer(
    name: str,
    groups: Sequence[dict[str, Any]],
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    betas: tuple[float, float] = (0.9, 0.999),
    amsgrad: bool = False,
) -> Optimizer:
    """An optimiser over groups of parameters, in torch's fused form: one kernel instead of a loop over the parameters.

    On a CPU that form reads a gradient in its parameter's memory order, unchecked. ``backward`` gives it that order; a
    gradient that is assigned must be given it.

    Args:
        name: "sgd" (uses ``momentum``, ``nesterov``), "adam" (weight decay enters the gradient) or "adamw"
            (decoupled); the last two use ``betas`` and ``amsgrad``.
        groups: of ``parameter_groups``.
        lr: initial learning rate, > 0.
        momentum: in [0, 1).
        nesterov: Nesterov's form; needs ``momentum`` > 0.
        betas: decay of the two moments, each in [0, 1).
        amsgrad: keep the maximum of the second moment.

    Raises:
        ConfigError: unknown name, nothing to optimise, or a value that torch rejects.
    """
    if not groups:
        raise ConfigError(f"optimizer {name!r} was given no trainable parameter; check what is frozen")
    try:
        if name == "sgd":
            optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=True)
            optimizer.register_step_pre_hook(_begin_momentum)
            return optimizer
        if name in _ADAMS:
            return _ADAMS[name](groups, lr=lr, betas=betas, amsgrad=amsgrad, fused=True)
    except ValueError as error:
        raise ConfigError(f"optimizer {name!r}: {error}") from None
    raise ConfigError(f"unknown optimizer {name!r}; choose one of {list(OPTIMIZERS)}")


def _begin_momentum(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """Give the parameters that meet their first gradient a momentum buffer of zeros, as good as none.

    The fused form of SGD takes buffers for all parameters of a step or for none, but where one op is sampled, or a
    trunk was frozen, first gradients come at different steps.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            if parameter.grad is not None and optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


_ADAMS: dict[str, type[torch.optim.Adam] | type[torch.optim.AdamW]] = {"adam": torch.optim.Adam,
                                                                       "adamw": torch.optim.AdamW}
OPTIMIZERS = ("sgd", *_ADAMS)


def require_disjoint(weights: Mapping[str, Tensor], alphas: Mapping[str, Tensor]) -> None:
    """Make sure that no tensor is trained both as a weight and as an alpha.

    Raises:
        ConfigError: names of the shared parameters.
    """
    ids = {id(alpha): name for name, alpha in alphas.items()}
    shared = [f"{name} = {ids[id(weight)]}" for name, weight in weights.items() if id(weight) in ids]
    if shared:
        raise ConfigError(
            f"parameters {shared} are both weights and alphas; a supernet must receive its mixing weights as an "
            "argument of forward and own no architecture parameter"
        )


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter group, each times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]


@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """Learning rate over a training of ``epochs`` epochs, with a linear warm-up in front.

    Args:
        base: peak learning rate.
        schedule: "constant", "cosine" or "multi_step".
        epochs: length of the training, >= 1.
        final_ratio: cosine ends at ``base * final_ratio`` (reached at ``epochs``, as CosineAnnealingLR does).
        flat_epochs: cosine stays at ``base`` until this epoch, counted from the start: flat, then cosine.
        milestones: multi_step multiplies by ``gamma`` at each of these epochs, counted from the start, warm-up
            included. (FastReID counts from the end of the warm-up: its 40 and 90 on Market-1501 are 49 and 99 here.)
        gamma: see ``milestones``.
        warmup_epochs: length of the warm-up, a fraction or not; the cosine starts after it.
        warmup_ratio: the warm-up starts at ``base * warmup_ratio``.

    Raises:
        ConfigError: unknown schedule or a value out of range.
    """

    base: float
    schedule: str
    epochs: int
    final_ratio: float = 0.0
    flat_epochs: float = 0.0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: float = 0.0
    warmup_ratio: float = 0.01

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"unknown learning rate schedule {self.schedule!r}; choose one of {sorted(SCHEDULES)}")
        if self.base <= 0 or self.epochs < 1 or not 0 <= self.warmup_epochs < self.epochs:
            raise ConfigError(
                f"learning rate {self.base} over {self.epochs} epochs with {self.warmup_epochs} of warm-up; "
                "expected a positive rate, at least one epoch and a warm-up shorter than the training"
            )
        if not 0 <= self.flat_epochs < self.epochs:
            raise ConfigError(f"learning rate flat for {self.flat_epochs} epochs of {self.epochs}; expected fewer")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ConfigError(f"learning rate milestones {list(self.milestones)} are not increasing; sort them")

    def at(self, progress: float) -> float:
        """Learning rate at ``progress`` epochs since the start, in [0, epochs]; fractions are welcome."""
        if progress < self.warmup_epochs:
            done = progress / self.warmup_epochs
            return self.base * (self.warmup_ratio + (1 - self.warmup_ratio) * done)
        return self.base * SCHEDULES[self.schedule](self, progress)


def _constant(rate: LearningRate, progress: float) -> float:
    return 1.0


def _cosine(rate: LearningRate, progress: float) -> float:
    start = max(rate.warmup_epochs, rate.flat_epochs)
    done = max(0.0, progress - start) / (rate.epochs - start)
    return rate.final_ratio + (1 - rate.final_ratio) * (1 + math.cos(math.pi * done)) / 2


def _multi_step(rate: LearningRate, progress: float) -> float:
    return rate.gamma ** sum(progress >= milestone for milestone in rate.milestones)


SCHEDULES: dict[str, Callable[[LearningRate, float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "multi_step": _multi_step,
}


class OptimizerSettings(Protocol):
    """What ``build_training`` reads, as the configuration has it; see ``parameter_groups``, ``build_optimizer`` and
    ``LearningRate`` for the meaning.
    """

    name: str
    lr: float
    weight_decay: float
    momentum: float
    nesterov: bool
    betas: list[float]
    amsgrad: bool
    schedule: str
    final_ratio: float
    flat_epochs: float
    milestones: list[int]
    gamma: float
    warmup_epochs: float
    warmup_steps: int | None
    warmup_ratio: float
    decay_vectors: bool
    bias_lr_factor: float
    head_lr_factor: float


def build_training(named: Iterable[tuple[str, nn.Parameter]], settings: OptimizerSettings, *, epochs: int,
                   steps: int) -> tuple[Optimizer, LearningRate]:
    """An optimiser and the learning rate to give it.

    ``steps`` is the number of optimiser steps in an epoch; ``warmup_steps``, unless None, is the length of the warm-up
    in them, and ``warmup_epochs`` does not count.
    """
    groups = parameter_groups(named, weight_decay=settings.weight_decay, decay_vectors=settings.decay_vectors,
                              bias_lr_factor=settings.bias_lr_factor, head_lr_factor=settings.head_lr_factor)
    optimizer = build_optimizer(settings.name, groups, lr=settings.lr, momentum=settings.momentum,
                                nesterov=settings.nesterov, betas=(settings.betas[0], settings.betas[1]),
                                amsgrad=settings.amsgrad)
    warmup = settings.warmup_epochs if settings.warmup_steps is None else settings.warmup_steps / steps
    rate = LearningRate(base=settings.lr, schedule=settings.schedule, epochs=epochs, final_ratio=settings.final_ratio,
                        flat_epochs=settings.flat_epochs, milestones=tuple(settings.milestones), gamma=settings.gamma,
                        warmup_ratio=settings.warmup_ratio, warmup_epochs=warmup)
    return optimizer, rate
