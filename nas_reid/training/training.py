"""How a fixed network is trained: its objective, its optimiser, and what is kept to continue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from nas_reid.data.batches import Batch
from nas_reid.errors import ConfigError
from nas_reid.losses.objective import Objective, build_objective
from nas_reid.network.model import Output, ReIDNetwork
from nas_reid.search_space import DropsPaths
from nas_reid.training.distillation import Distillation
from nas_reid.training.ema import WeightAverage
from nas_reid.training.optim import LearningRate, OptimizerSettings, build_training


@dataclass(frozen=True)
class Training:
    """A network and how its weights are found.

    Args:
        network: with its head.
        objective: what is minimised.
        optimizer: of the network's parameters.
        rate: its learning rate over the epochs.
        distillation: what teachers add to the objective; None: there are none.
        average: of the weights, to be evaluated instead of them; None: there is none.
        accumulate: batches whose mean gradient makes one step; an epoch's last step takes what is left. A loss that
            compares images of a batch, and batch norm, see one batch at a time.
        clip: largest norm of that gradient; 0: any.
        drop_path: rate that the trunk's drop-path grows to, from 0 in the first epoch.
        freeze_trunk_epochs: the first so many epochs train the head alone.
    """

    network: ReIDNetwork
    objective: Objective
    optimizer: Optimizer
    rate: LearningRate
    distillation: Distillation | None
    average: WeightAverage | None
    accumulate: int
    clip: float
    drop_path: float = 0.0
    freeze_trunk_epochs: int = 0

    @property
    def network_to_keep(self) -> ReIDNetwork:
        """What has been learnt, to be evaluated and kept: the average, if there is one."""
        return self.network if self.average is None else self.average.network

    def begin(self, epoch: int) -> None:
        """Set what depends on the epoch, counted from 0."""
        self.network.trunk_is_frozen = epoch < self.freeze_trunk_epochs
        if self.drop_path and isinstance(self.network.trunk, DropsPaths):
            self.network.trunk.set_drop_path(self.drop_path * epoch / max(1, self.rate.epochs - 1))

    def loss(self, output: Output, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """What is minimised on a batch, teachers included, and its terms, unweighted and detached."""
        loss, terms = self.objective(output, batch.labels, batch.modalities)
        if self.distillation is None:
            return loss, terms
        taught, further = self.distillation(output, batch)
        return loss + taught, terms | further

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step changes."""
        return {name: part.state_dict() for name, part in self._stateful().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a ``state_dict``."""
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])

    def _stateful(self) -> dict[str, ReIDNetwork | Optimizer | Objective | WeightAverage]:
        parts: dict[str, ReIDNetwork | Optimizer | Objective | WeightAverage] = {
            "network": self.network, "optimizer": self.optimizer, "objective": self.objective}
        return parts if self.average is None else parts | {"average": self.average}


class TrainingSettings(Protocol):
    """What ``training_of`` reads, as the configuration has it; see ``Training`` and ``build_objective``."""

    epochs: int
    objective: Any
    accumulate: int
    ema: float
    clip: float
    drop_path: float

    @property
    def optimizer(self) -> OptimizerSettings:
        """See ``build_training``."""


def training_of(settings: TrainingSettings, network: ReIDNetwork, *, batches: int,
                distillation: Distillation | None = None, freeze_trunk_epochs: int = 0) -> Training:
    """How ``network`` is trained, in epochs of ``batches``.

    Raises:
        ConfigError: see ``require_accumulation``, ``build_training`` and ``build_objective``.
    """
    require_accumulation(settings.accumulate, batches)
    optimizer, rate = build_training(network.named_parameters(), settings.optimizer, epochs=settings.epochs,
                                     steps=steps_in_epoch(batches, settings.accumulate))
    return Training(network, build_objective(settings.objective, network.head), optimizer, rate, distillation,
                    WeightAverage(network, settings.ema) if settings.ema else None, settings.accumulate, settings.clip,
                    settings.drop_path, freeze_trunk_epochs)


def require_drop_path(trunk: nn.Module, rate: float) -> None:
    """Refuse a drop-path that the trunk does not offer.

    Raises:
        ConfigError: ``rate`` is not 0, and it does not.
    """
    if rate and not isinstance(trunk, DropsPaths):
        raise ConfigError(f"drop_path={rate}: the networks of this search space have no paths to drop; use drop_path=0")


def steps_in_epoch(batches: int, accumulate: int) -> int:
    """Optimiser steps in an epoch of ``batches``, ``accumulate`` of which make a step."""
    return -(-batches // accumulate)


def require_accumulation(accumulate: int, batches: int) -> None:
    """Refuse steps of more batches than an epoch has.

    Raises:
        ConfigError: they are.
    """
    if accumulate > batches:
        raise ConfigError(f"accumulate={accumulate} makes one step of more batches than an epoch has, {batches}; "
                          "lower it")
