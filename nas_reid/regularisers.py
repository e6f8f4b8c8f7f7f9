"""Penalties on the alphas, and the signs of collapse that a search logs and may stop on.

Everything takes mappings of decisions and knows no search space: decision -> alphas [R, K], decision ->
probabilities [R, K] (of the relaxation in use), and the ``Decision`` objects for tags and costs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.search_space import Decision
from nas_reid.temperature import linear

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Regulariser:
    """Weighted sum of penalties, each weight changing linearly from the first epoch to the last.

    Args:
        weights: name in ``REGULARISERS`` -> (weight at the first epoch, weight at the last).
        decisions: of the search space.
    """

    weights: Mapping[str, tuple[float, float]]
    decisions: Sequence[Decision]

    def __call__(
        self, alphas: Tensors, probabilities: Tensors, *, epoch: int, epochs: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The value to add to the architecture loss, and each penalty unweighted and detached, for the log.

        Args:
            alphas: decision -> [R, K].
            probabilities: decision -> [R, K], with gradient (``Relaxation.probabilities``).
            epoch: in [0, epochs - 1].
            epochs: length of the search.
        """
        total = next(iter(alphas.values())).new_zeros(())
        parts = {}
        for name, (start, end) in self.weights.items():
            value = REGULARISERS[name](alphas, probabilities, self.decisions)
            total = total + linear(epoch, epochs, start=start, end=end) * value
            parts[name] = value.detach()
        return total, parts


def build_regulariser(
    weights: Mapping[str, float | Sequence[float]], decisions: Sequence[Decision]
) -> Regulariser:
    """A regulariser from plain numbers.

    Args:
        weights: name -> a constant weight, or [first, last] for a linear ramp (β-DARTS: ``beta_decay: [0, 50]``;
            FairDARTS: ``zero_one: 10``). Empty for none.
        decisions: of the search space.

    Raises:
        ConfigError: unknown name, a weight that is neither a number nor a pair, or ``expected_cost`` for
            decisions without costs.
    """
    ramps = {}
    for name, weight in weights.items():
        if name not in REGULARISERS:
            raise ConfigError(f"unknown regulariser {name!r}; choose among {sorted(REGULARISERS)}")
        ramp = (weight, weight) if isinstance(weight, int | float) else tuple(weight)
        if len(ramp) != 2:
            raise ConfigError(f"regulariser {name!r} has weight {list(ramp)}; expected a number or [first, last]")
        ramps[name] = ramp
    if "expected_cost" in ramps and _highest_cost(decisions) <= 0:
        raise ConfigError("regulariser 'expected_cost' needs costs, but no choice of the search space declares one")
    return Regulariser(ramps, decisions)


def none_share(probabilities: Tensors, decisions: Sequence[Decision]) -> float:
    """Share in [0, 1] of the rows whose most probable choice is tagged "none"; 0 where no decision offers it.

    Only decisions that offer such a choice count. Waits for the device.
    """
    offering = [decision for decision in decisions if _tagged(decision, "none").any()]
    if not offering:
        return 0.0
    wins = [_tagged(decision, "none")[probabilities[decision.name].argmax(-1).cpu()] for decision in offering]
    return torch.cat(wins).double().mean().item()


def skip_count(probabilities: Tensors, decisions: Sequence[Decision]) -> dict[str, int]:
    """Rows of each decision whose most probable choice, "none" apart, is tagged "skip".

    An upper bound of the skips in a derived cell that keeps only some of the rows. Waits for the device.
    """
    counts = {}
    for decision in decisions:
        others = probabilities[decision.name].detach().cpu().masked_fill(_tagged(decision, "none"), -1.0)
        counts[decision.name] = int(_tagged(decision, "skip")[others.argmax(-1)].sum())
    return counts


def _tagged(decision: Decision, tag: str) -> Tensor:
    return torch.tensor([tag in choice.tags for choice in decision.choices])  # [K] bool


def _beta_decay(alphas: Tensors, probabilities: Tensors, decisions: Sequence[Decision]) -> Tensor:
    """Mean over all rows of logsumexp(α): β-DARTS (Ye et al., 2022), Eq. 12."""
    return torch.cat([alpha.logsumexp(-1) for alpha in alphas.values()]).mean()


def _zero_one(alphas: Tensors, probabilities: Tensors, decisions: Sequence[Decision]) -> Tensor:
    """−mean((p − 1/2)²) over all entries, in [−1/4, 0], lowest when discrete: FairDARTS (Chu et al., 2020), Eq. 5."""
    return -torch.cat([(p - 0.5).square().flatten() for p in probabilities.values()]).mean()


def _entropy(alphas: Tensors, probabilities: Tensors, decisions: Sequence[Decision]) -> Tensor:
    """Mean over all rows of −Σ p log p, in nats; rows are meant to be distributions (not ``sigmoid``)."""
    # The floor keeps the gradient finite where a probability has underflowed to 0.
    rows = [-(p * p.clamp_min(torch.finfo(p.dtype).tiny).log()).sum(-1) for p in probabilities.values()]
    return torch.cat(rows).mean()


def _expected_cost(alphas: Tensors, probabilities: Tensors, decisions: Sequence[Decision]) -> Tensor:
    """Σ p·cost over all rows, relative to the dearest architecture: in [0, 1] for distributions."""
    total = next(iter(probabilities.values())).new_zeros(())
    for decision in decisions:
        shares = probabilities[decision.name].sum(0)  # [K]
        # Python numbers instead of a cost tensor: nothing to copy to the device.
        for share, choice in zip(shares.unbind(), decision.choices, strict=True):
            total = total + choice.cost * share
    return total / _highest_cost(decisions)


def _highest_cost(decisions: Sequence[Decision]) -> float:
    return sum(decision.rows * max(choice.cost for choice in decision.choices) for decision in decisions)


REGULARISERS: dict[str, Callable[[Tensors, Tensors, Sequence[Decision]], Tensor]] = {
    "beta_decay": _beta_decay,
    "zero_one": _zero_one,
    "entropy": _entropy,
    "expected_cost": _expected_cost,
}
