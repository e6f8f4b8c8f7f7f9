"""What a network may cost: parameters, multiply-accumulates, and the cost that a space declares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.genotype import Genotype
from nas_reid.nas.path import path_of
from nas_reid.network.complexity import count_macs, count_parameters
from nas_reid.search_space import SearchSpace

Range = tuple[float, float]


@dataclass(frozen=True)
class Bounds:
    """Ranges that a genotype's network must lie in; None: any.

    Args:
        params: of the trunk, without the head.
        macs: of the trunk for one image.
        image_size: (height, width) of that image.
        cost: of its choices, as the space declares it (``Choice.cost``); see ``declared_cost``.
    """

    params: Range | None
    macs: Range | None
    image_size: tuple[int, int]
    cost: Range | None = None

    @staticmethod
    def of(ranges: Mapping[str, Sequence[float] | None], image_size: Sequence[int]) -> "Bounds":
        """From a configuration's ``{params: [least, most], macs: ..., cost: ...}``, None for any."""
        (height, width), pairs = image_size, {name: (pair[0], pair[1]) for name, pair in ranges.items() if pair}
        return Bounds(pairs.get("params"), pairs.get("macs"), (height, width), pairs.get("cost"))

    def admit(self, space: SearchSpace, genotype: Genotype, probabilities: Mapping[str, Tensor]) -> bool:
        """Whether the genotype, derived from ``probabilities``, is within all of them.

        Raises:
            ConfigError: a bound of the cost, of which the space declares none.
        """
        if self.cost and not any(choice.cost for decision in space.decisions() for choice in decision.choices):
            raise ConfigError(f"bounds.cost={list(self.cost)} bounds what the choices of {space.name} cost, and that "
                              "space declares no cost of any (Choice.cost); bound params or macs")
        if self.cost and not self.cost[0] <= declared_cost(space, genotype, probabilities) <= self.cost[1]:
            return False
        if self.params is None and self.macs is None:
            return True
        costs = costs_of(space, genotype, self.image_size, macs=self.macs is not None)
        return all(bound is None or bound[0] <= costs[name] <= bound[1]
                   for name, bound in (("params", self.params), ("macs", self.macs)))


def declared_cost(space: SearchSpace, genotype: Genotype, probabilities: Mapping[str, Tensor]) -> float:
    """Sum of ``Choice.cost`` over the choices that a genotype, derived from ``probabilities``, takes."""
    path = path_of(space, genotype, probabilities)
    return sum(float(path[decision.name].weights.double().sum(0) @ torch.tensor(
        [choice.cost for choice in decision.choices], dtype=torch.float64)) for decision in space.decisions())


def costs_of(space: SearchSpace, genotype: Genotype, image_size: tuple[int, int], *,
             macs: bool = True) -> dict[str, int]:
    """``params`` and, if asked for, ``macs`` of a genotype's trunk, counted on the meta device."""
    with torch.device("meta"):
        trunk = space.network(genotype)
    counted = {"params": count_parameters(trunk)}
    return counted | ({"macs": count_macs(trunk, image_size)} if macs else {})


def no_draw(space: SearchSpace, bounds: Bounds, rejected: Sequence[tuple[Mapping[str, Tensor], Genotype]], *,
            tries: int) -> ConfigError:
    """The error for a bound that none of ``tries`` draws met, with what some of the ``rejected`` ones, probabilities
    and genotype, cost."""
    costs = [{**costs_of(space, genotype, bounds.image_size), "cost": declared_cost(space, genotype, probabilities)}
             for probabilities, genotype in rejected]
    spans = {name: _span(costs, name) for name in ("params", "macs", "cost")}
    return ConfigError(f"none of {tries} genotypes of {space.name} drawn by lot is within {_shown(bounds)}; "
                       f"{len(costs)} of them have {spans['params']} parameters, {spans['macs']} MACs and a declared "
                       f"cost of {spans['cost']}. Widen the bound, or change the space's width or depth")


def _shown(bounds: Bounds) -> str:
    given = {"params": bounds.params, "macs": bounds.macs, "cost": bounds.cost}
    return " and ".join(f"{name} {low:,.10g} to {high:,.10g}" for name, (low, high) in
                        ((name, bound) for name, bound in given.items() if bound is not None))


def _span(costs: Sequence[Mapping[str, float]], name: str) -> str:
    values = [cost[name] for cost in costs]
    return f"{min(values):,.10g} to {max(values):,.10g}"
