"""Optimisers by name, and learning rates as a pure function of progress: resuming needs only the epoch."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nas_reid.errors import ConfigError


def build_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    *,
    lr: float,
    weight_decay: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    betas: tuple[float, float] = (0.9, 0.999),
    amsgrad: bool = False,
    decay_vectors: bool = True,
) -> Optimizer:
    """An optimiser over the parameters that require a gradient.

    Args:
        name: "sgd" (uses ``momentum``, ``nesterov``), "adam" (``weight_decay`` enters the gradient) or "adamw"
            (decoupled); the last two use ``betas`` and ``amsgrad``.
        parameters: in a reproducible order: the optimiser's checkpoint is positional.
        lr: initial learning rate, > 0.
        weight_decay: >= 0.
        momentum: in [0, 1).
        nesterov: Nesterov's form; needs ``momentum`` > 0.
        betas: decay of the two moments, each in [0, 1).
        amsgrad: keep the maximum of the second moment.
        decay_vectors: False exempts biases and norm scales (parameters of at most one dimension) from decay.

    Raises:
        ConfigError: unknown name, nothing to optimise, or a value that torch rejects.
    """
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    if not trainable:
        raise ConfigError(f"optimizer {name!r} was given no trainable parameter; check what is frozen")
    groups = [{"params": trainable, "weight_decay": weight_decay}]
    if not decay_vectors:
        groups = [
            {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
        ]
    try:
        if name == "sgd":
            return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)
        if name in _ADAMS:
            return _ADAMS[name](groups, lr=lr, betas=betas, amsgrad=amsgrad)
    except ValueError as error:
        raise ConfigError(f"optimizer {name!r}: {error}") from None
    raise ConfigError(f"unknown optimizer {name!r}; choose one of {list(OPTIMIZERS)}")


_ADAMS: dict[str, type[Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
OPTIMIZERS = ("sgd", *_ADAMS)


def assert_disjoint(weights: Mapping[str, Tensor], alphas: Mapping[str, Tensor]) -> None:
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
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """Learning rate over a training of ``epochs`` epochs, with a linear warm-up in front.

    Args:
        base: peak learning rate.
        schedule: "constant", "cosine" or "multi_step".
        epochs: length of the training, >= 1.
        final_ratio: cosine ends at ``base * final_ratio`` (reached at ``epochs``, as CosineAnnealingLR does).
        milestones: multi_step multiplies by ``gamma`` at each of these epochs, counted from the start.
        gamma: see ``milestones``.
        warmup_epochs: length of the warm-up; the cosine starts after it.
        warmup_ratio: the warm-up starts at ``base * warmup_ratio``.

    Raises:
        ConfigError: unknown schedule or a value out of range.
    """

    base: float
    schedule: str
    epochs: int
    final_ratio: float = 0.0
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
    done = (progress - rate.warmup_epochs) / (rate.epochs - rate.warmup_epochs)
    return rate.final_ratio + (1 - rate.final_ratio) * (1 + math.cos(math.pi * done)) / 2


def _multi_step(rate: LearningRate, progress: float) -> float:
    return rate.gamma ** sum(progress >= milestone for milestone in rate.milestones)


SCHEDULES: dict[str, Callable[[LearningRate, float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "multi_step": _multi_step,
}


def build_training(parameters: Iterable[nn.Parameter], *, name: str, lr: float, weight_decay: float, momentum: float,
                   betas: Sequence[float], amsgrad: bool, schedule: str, final_ratio: float,
                   milestones: Sequence[int], gamma: float, warmup_epochs: float,
                   epochs: int) -> tuple[Optimizer, LearningRate]:
    """An optimiser and the learning rate to give it, from flat settings; see ``build_optimizer``, ``LearningRate``."""
    optimizer = build_optimizer(name, parameters, lr=lr, weight_decay=weight_decay, momentum=momentum,
                                betas=(betas[0], betas[1]), amsgrad=amsgrad)
    rate = LearningRate(base=lr, schedule=schedule, epochs=epochs, final_ratio=final_ratio,
                        milestones=tuple(milestones), gamma=gamma, warmup_epochs=warmup_epochs)
    return optimizer, rate
