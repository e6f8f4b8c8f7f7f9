"""The two coupled problems of a search: one supernet, two losses, and how alphas become mixing weights."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypedDict

import torch
from torch import Tensor
from torch.func import functional_call
from torch.optim import Optimizer

from nas_reid.data.batches import Batch
from nas_reid.losses.objective import Objective
from nas_reid.nas.arch_parameters import ArchParameters
from nas_reid.nas.operation_stopping import OperationStopping
from nas_reid.nas.paths import Paths
from nas_reid.nas.perturbation import Perturbation
from nas_reid.nas.regularisers import Regulariser
from nas_reid.nas.relaxation import Relaxation
from nas_reid.network.model import Output, ReIDNetwork, WithMixes
from nas_reid.search_space import Mix
from nas_reid.seed import derive_seed, seed_draws
from nas_reid.training.optim import LearningRate

ORDERS = ("alphas_first", "weights_first")
"""Which of the two steps comes first."""

Tensors = Mapping[str, Tensor]

log = logging.getLogger(__name__)


class Watch(TypedDict, total=False):
    """Keyword arguments of ``architect.first_order``."""

    watch: Callable[[Tensors], None]
    watched: Collection[str]


@dataclass(frozen=True)
class Moment:
    """When a step happens: what schedules and noise depend on.

    Args:
        epoch, step: counted from 0.
        epochs: length of the search.
        temperature: of the relaxation, in this epoch.
    """

    epoch: int
    step: int
    epochs: int
    temperature: float


class LevelLoss(NamedTuple):
    """The loss of one level on a batch.

    Attributes:
        loss: a scalar, to be differentiated.
        terms: its parts, detached, for the record.
        output: the network's, detached; of the first Monte Carlo sample.
    """

    loss: Tensor
    terms: dict[str, Tensor]
    output: Output


@dataclass(frozen=True)
class Level:
    """How one of the two problems is solved.

    Args:
        objective: what it minimises.
        optimizer: of its own variables: the weights below, the alphas above.
        rate: the optimiser's learning rate over the epochs.
    """

    objective: Objective
    optimizer: Optimizer
    rate: LearningRate


@dataclass(frozen=True)
class Bilevel:
    """min over alphas of ``L_upper(w*(alphas), alphas)``, where ``w*(alphas)`` minimises ``L_lower(w, alphas)``.

    Args:
        network: the supernet with its head; its parameters are the weights w.
        arch: the alphas.
        lower: the weights' level.
        upper: the alphas' level.
        relaxation: how alphas become mixing weights.
        samples: Monte Carlo samples of the mixing weights per loss; the losses are averaged (OSNet-AIN, Eq. 12).
        regulariser: a penalty on the alphas, part of L_upper.
        seed: of the run; the noise of a step, that of the network's modules included, is a pure function of (seed,
            level, epoch, step, sample).
        perturbation: of the mixing weights in L_lower, if any.
        stopping: of ops whose gradients in L_lower and L_upper point apart, if any.
    """

    network: ReIDNetwork
    arch: ArchParameters
    lower: Level
    upper: Level
    relaxation: Relaxation | Paths
    samples: int
    regulariser: Regulariser
    seed: int
    perturbation: Perturbation | None = None
    stopping: OperationStopping | None = None

    def lower_loss(self, batch: Batch, moment: Moment, *, weights: Tensors | None,
                   alphas: Tensors) -> LevelLoss:
        """L_lower on a batch; ``weights=None`` are the live ones."""
        return self._loss("weights", self.lower.objective, batch, moment, weights, alphas)

    def upper_loss(self, batch: Batch, moment: Moment, *, weights: Tensors | None,
                   alphas: Tensors) -> LevelLoss:
        """L_upper on a batch, penalties on the alphas included."""
        loss, terms, output = self._loss("alphas", self.upper.objective, batch, moment, weights, alphas)
        penalty, penalties = self.regulariser(alphas, self.relaxation.probabilities(alphas), epoch=moment.epoch,
                                              epochs=moment.epochs)
        return LevelLoss(loss + penalty, terms | penalties, output)

    def remember(self, batch: Batch, output: Output) -> None:
        """Let the losses of both levels remember a step of the weights; see ``Objective.update``."""
        for level in (self.lower, self.upper):
            level.objective.update(output, batch.labels, batch.modalities)

    def watch(self, moment: Moment) -> Watch:
        """What ``first_order`` does with the weights' gradients of L_upper: nothing, or keep them for ``stopping``."""
        if self.stopping is None:
            return {}
        return {"watch": partial(self.stopping.remember, moment.epoch), "watched": self.stopping.watched}

    def stop_ops(self, moment: Moment) -> None:
        """Freeze the ops whose turn it is, once the weights have their gradients of L_lower."""
        if self.stopping is not None and (stopped := self.stopping.compare(moment.epoch)):
            log.info("%d ops are trained no further, of %d in all %d", stopped, len(self.stopping.ops),
                     int(self.stopping.frozen.sum()))

    def probabilities(self) -> dict[str, Tensor]:
        """What the alphas say now, decision -> [R, K], on the CPU."""
        live = self.relaxation.probabilities(self.arch.alphas())
        return {name: value.detach().cpu() for name, value in live.items()}

    def without_noise(self) -> WithMixes:
        """The supernet with the mixing weights that the alphas give by themselves, for evaluation."""
        return WithMixes(self.network, self.relaxation.evaluation_mixes(self.arch.alphas()))

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Weights, alphas, and both optimisers and objectives."""
        return {name: part.state_dict() for name, part in self._stateful().items()}

    def load_state_dict(self, state: Mapping[str, dict[str, Any]]) -> None:
        """Continue from a ``state_dict``."""
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])

    def _stateful(self) -> dict[str, ReIDNetwork | ArchParameters | Optimizer | Objective | OperationStopping]:
        stopping = {} if self.stopping is None else {"stopping": self.stopping}
        return {**stopping, "network": self.network, "arch": self.arch, "weight_optimizer": self.lower.optimizer,
                "alpha_optimizer": self.upper.optimizer, "weight_objective": self.lower.objective,
                "alpha_objective": self.upper.objective}

    def _loss(self, level: str, objective: Objective, batch: Batch, moment: Moment,
              weights: Tensors | None, alphas: Tensors) -> LevelLoss:
        """Mean over the samples. Equal arguments draw equal noise, so that finite differences see one function."""
        outcomes = []
        for sample in range(self.samples):
            mixes = self._mixes(alphas, moment, level, sample)
            if level == "weights" and self.perturbation is not None:
                mixes = self._perturbed(self.perturbation, mixes, batch, moment, sample)
            outcomes.append(self._outcome(level, objective, batch, moment, weights, mixes, sample))
        loss = torch.stack([outcome.loss for outcome in outcomes]).mean()
        terms = {name: torch.stack([outcome.terms[name] for outcome in outcomes]).mean() for name in outcomes[0].terms}
        return LevelLoss(loss, terms, outcomes[0].output)

    def _outcome(self, level: str, objective: Objective, batch: Batch, moment: Moment, weights: Tensors | None,
                 mixes: Mapping[str, Mix], sample: int) -> LevelLoss:
        inputs = (batch.images, mixes, batch.modalities)
        seed_draws(self.seed, level, moment.epoch, moment.step, sample, device=batch.images.device)
        output = self.network(*inputs) if weights is None else functional_call(self.network, dict(weights), inputs)
        loss, terms = objective(output, batch.labels, batch.modalities)
        return LevelLoss(loss, terms, Output(*(value.detach() for value in output)))

    def _perturbed(self, perturbation: Perturbation, mixes: Mapping[str, Mix], batch: Batch, moment: Moment,
                   sample: int) -> dict[str, Mix]:
        frozen = {name: weight.detach() for name, weight in self.network.named_parameters()}

        def loss(moved: Mapping[str, Mix]) -> Tensor:
            """Of the weights' level under other mixing weights."""
            return self._outcome("weights", self.lower.objective, batch, moment, frozen, moved, sample).loss

        return perturbation(mixes, loss, epoch=moment.epoch, epochs=moment.epochs,
                            generator=self._generator(moment, "perturbation", sample, batch.images.device))

    def _mixes(self, alphas: Tensors, moment: Moment, level: str, sample: int) -> dict[str, Mix]:
        generator = self._generator(moment, level, sample, next(iter(alphas.values())).device)
        return self.relaxation(alphas, temperature=moment.temperature, generator=generator)

    def _generator(self, moment: Moment, purpose: str, sample: int, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed(
            derive_seed(self.seed, purpose, moment.epoch, moment.step, sample))
