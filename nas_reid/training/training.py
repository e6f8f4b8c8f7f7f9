"""How a fixed network is trained: its objective, its optimiser, and what is kept to continue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from nas_reid.data.batches import Batch
from nas_reid.errors import ConfigError
from nas_reid.losses.objective import Objective
from nas_reid.network.model import Output, ReIDNetwork
from nas_reid.search_space import DropsPaths
from nas_reid.training.distillation import Distillation
from nas_reid.training.ema import WeightAverage
from nas_reid.training.optim import LearningRate


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
    """

    network: ReIDNetwork
    objective: Objective
    optimizer: Optimizer
    rate: LearningRate
    distillation: Distillation | None
    average: WeightAverage | None
    accumulate: int
    clip: float

    @property
    def network_to_keep(self) -> ReIDNetwork:
        """What has been learnt, to be evaluated and kept: the average, if there is one."""
        return self.network if self.average is None else self.average.network

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
