"""Penalties on the alphas, and the signs of collapse that a search logs and may stop on.

Everything takes mappings of decisions and knows no search space: decision -> alphas [R, K], decision ->
probabilities [R, K] (of the relaxation in use), and the ``Decision`` objects for tags and costs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.nas.temperature import linear
from nas_reid.search_space import Decision

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Regulariser:
    """Weighted sum of penalties, each weight changing linearly from the first epoch to the last.

    Args:
        weights: name in ``REGULARISERS`` -> (weight at the first epoch, weight at the last).
        decisions: of the search space.
        targets: name -> the value that a penalty of ``WITH_TARGET`` steers to.
        sums_to_one: the probabilities of a row are a distribution; else each is that of a gate of its own.
    """

    weights: Mapping[str, tuple[float, float]]
    decisions: Sequence[Decision]
    targets: Mapping[str, float] = field(default_factory=dict)
    sums_to_one: bool = True

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
            further: dict[str, Any] = {"target": self.targets[name]} if name in self.targets else {}
            if name in ON_DISTRIBUTIONS:
                further["sums_to_one"] = self.sums_to_one
            value = REGULARISERS[name](alphas, probabilities, self.decisions, **further)
            total = total + linear(epoch, epochs, start=start, end=end) * value
            parts[name] = value.detach()
        return total, parts


def build_regulariser(
    weights: Mapping[str, float | Sequence[float] | Mapping[str, Any] | None], decisions: Sequence[Decision], *,
    sums_to_one: bool = True
) -> Regulariser:
    """A regulariser from plain numbers.

    Args:
        weights: name -> a constant weight, or [first, last] for a linear ramp (β-DARTS: ``beta_decay: [0, 50]``;
            FairDARTS: ``zero_one: 10``), or ``{weight: either, target: value}`` for one of ``WITH_TARGET``.
            None leaves one out.
        decisions: of the search space.
        sums_to_one: of the relaxation, see ``Regulariser``.

    Raises:
        ConfigError: unknown name, a weight that is missing or neither a number nor a pair, a target that is missing or
            that the penalty has no use for, or a penalty on costs for decisions without costs.
    """
    ramps, targets = {}, {}
    for name, given in weights.items():
        if name not in REGULARISERS:
            raise ConfigError(f"unknown regulariser {name!r}; choose among {sorted(REGULARISERS)}")
        if given is None:
            continue
        entry: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {"weight": given}
        ramp = _ramp(name, entry.pop("weight", None))
        if not any(ramp):
            continue
        _check_target(name, entry)
        ramps[name] = ramp
        if name in WITH_TARGET:
            targets[name] = float(entry["target"])
    for name in sorted(ON_COSTS & set(ramps)):
        if _highest_cost(decisions) <= 0:
            raise ConfigError(f"regulariser {name!r} needs costs, but no choice of the search space declares one")
    return Regulariser(ramps, decisions, targets, sums_to_one)


def _ramp(name: str, weight: Any) -> tuple[float, float]:
    ramp = tuple(weight) if isinstance(weight, Sequence) else (weight, weight)
    if len(ramp) != 2 or any(
            isinstance(end, bool) or not isinstance(end, int | float) or not isfinite(end) for end in ramp):
        raise ConfigError(f"regulariser {name!r} has weight {weight!r}; expected a number or [first, last]; 0 is off")
    return ramp


def _check_target(name: str, entry: Mapping[str, Any]) -> None:
    expected = {"target"} if name in WITH_TARGET else set()
    if set(entry) != expected:
        raise ConfigError(f"regulariser {name!r} has {sorted(entry)} beside its weight; expected {sorted(expected)}")
    for value in entry.values():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ConfigError(f"regulariser {name!r} has target {value!r}; expected a share from 0 to 1")


def offers(tag: str, decisions: Sequence[Decision]) -> bool:
    """Whether a choice of any decision has the tag, such as "none" or "skip"."""
    return any(tag in choice.tags for decision in decisions for choice in decision.choices)


def entropy(probabilities: Tensors, *, sums_to_one: bool) -> Tensor:
    """How undecided the alphas are, in nats: the mean entropy of a row, or of a gate where each entry is one.

    −Σ p log p over a row's choices, at most log K; or −p log p − (1 − p) log(1 − p), at most log 2.
    """
    rows = list(probabilities.values())
    if not sums_to_one:
        rows = [torch.stack([p.flatten(), 1 - p.flatten()], -1) for p in rows]
    # The floor keeps the gradient finite where a probability has underflowed to 0.
    return torch.cat([-(p * p.clamp_min(torch.finfo(p.dtype).tiny).log()).sum(-1) for p in rows]).mean()


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


def _entropy(alphas: Tensors, probabilities: Tensors, decisions: Sequence[Decision], *,
             sums_to_one: bool = True) -> Tensor:
    """See ``entropy``."""
    return entropy(probabilities, sums_to_one=sums_to_one)


def _expected_cost(alphas: Tensors, probabilities: Tensors, decisions: Sequence[Decision]) -> Tensor:
    """Σ p·cost over all rows, relative to the dearest architecture: in [0, 1] for distributions."""
    total = next(iter(probabilities.values())).new_zeros(())
    for decision in decisions:
        shares = probabilities[decision.name].sum(0)  # [K]
        # Python numbers instead of a cost tensor: nothing to copy to the device.
        for share, choice in zip(shares.unbind(), decision.choices, strict=True):
            total = total + choice.cost * share
    return total / _highest_cost(decisions)


def _cost_budget(alphas: Tensors, probabilities: Tensors, decisions: Sequence[Decision], *, target: float) -> Tensor:
    """(expected cost - target)²: holds the expected cost at a share of the dearest architecture's, from either side."""
    return (_expected_cost(alphas, probabilities, decisions) - target).square()


def _highest_cost(decisions: Sequence[Decision]) -> float:
    return sum(decision.rows * max(choice.cost for choice in decision.choices) for decision in decisions)


REGULARISERS: dict[str, Callable[..., Tensor]] = {
    "beta_decay": _beta_decay,
    "zero_one": _zero_one,
    "entropy": _entropy,
    "expected_cost": _expected_cost,
    "cost_budget": _cost_budget,
}
ON_COSTS = {"expected_cost", "cost_budget"}
WITH_TARGET = {"cost_budget"}
ON_DISTRIBUTIONS = {"entropy"}
