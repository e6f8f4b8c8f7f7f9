"""What a network may cost: parameters, multiply-accumulates, and the cost that a space declares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from nas_reid.errors import ConfigError
from nas_reid.genotype import Genotype
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
    """

    params: Range | None
    macs: Range | None
    image_size: tuple[int, int]

    @staticmethod
    def of(ranges: Mapping[str, Sequence[float] | None], image_size: Sequence[int]) -> "Bounds":
        """From a configuration's ``{params: [least, most], macs: [least, most]}``, None for any."""
        (height, width), pairs = image_size, {name: (pair[0], pair[1]) for name, pair in ranges.items() if pair}
        return Bounds(pairs.get("params"), pairs.get("macs"), (height, width))

    def admit(self, space: SearchSpace, genotype: Genotype) -> bool:
        """Whether the genotype's network is within all of them."""
        if self.params is None and self.macs is None:
            return True
        costs = costs_of(space, genotype, self.image_size, macs=self.macs is not None)
        return all(bound is None or bound[0] <= costs[name] <= bound[1]
                   for name, bound in (("params", self.params), ("macs", self.macs)))


def costs_of(space: SearchSpace, genotype: Genotype, image_size: tuple[int, int], *,
             macs: bool = True) -> dict[str, int]:
    """``params`` and, if asked for, ``macs`` of a genotype's trunk, counted on the meta device."""
    with torch.device("meta"):
        trunk = space.network(genotype)
    counted = {"params": count_parameters(trunk)}
    return counted | ({"macs": count_macs(trunk, image_size)} if macs else {})


def no_draw(space: SearchSpace, bounds: Bounds, rejected: Sequence[Genotype], *, tries: int) -> ConfigError:
    """The error for a bound that none of ``tries`` draws met, with what some of the ``rejected`` ones cost."""
    costs = [costs_of(space, genotype, bounds.image_size) for genotype in rejected]
    return ConfigError(f"none of {tries} genotypes of {space.name} drawn by lot is within {_shown(bounds)}; "
                       f"{len(costs)} of them have {_span(costs, 'params')} parameters, {_span(costs, 'macs')} MACs. "
                       "Widen the bound, or change the space's width or depth")


def _shown(bounds: Bounds) -> str:
    given = {"params": bounds.params, "macs": bounds.macs}
    return " and ".join(f"{name} {low:,.0f} to {high:,.0f}" for name, (low, high) in
                        ((name, bound) for name, bound in given.items() if bound is not None))


def _span(costs: Sequence[Mapping[str, int]], name: str) -> str:
    values = [cost[name] for cost in costs]
    return f"{min(values):,} to {max(values):,}"
