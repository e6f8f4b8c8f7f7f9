"""A genotype's own ops in the supernet."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from nas_reid.genotype import Genotype
from nas_reid.search_space import Mix, OffersOneHot, SearchSpace


def path_of(space: SearchSpace, genotype: Genotype, probabilities: Mapping[str, Tensor], *,
            device: torch.device | str = "cpu") -> dict[str, Mix]:
    """Mixing weights that run a genotype's own ops in the supernet.

    Those of ``space.one_hot``, in which what the genotype leaves out is left out; a space without it runs the likeliest
    choice of every row. Choices run alone in the decisions all of whose rows are one-hot; where a row is zero or takes
    several choices in parts, that decision's all run and are weighted.

    Args:
        space: of the genotype.
        genotype: whose path it is.
        probabilities: decision -> [R, K], from which it was derived.
        device: of the mixing weights.
    """
    if isinstance(space, OffersOneHot):
        tables = space.one_hot(genotype)
        dense = {name: table for name, table in tables.items() if bool((table.max(1).values != 1).any())}
    else:
        tables, dense = probabilities, {}
    alone = {name: table.argmax(1) for name, table in tables.items() if name not in dense}
    return mixes_of(space, alone, device=device) | {
        name: Mix(table.float().to(device, non_blocking=True)) for name, table in dense.items()}


def mixes_of(space: SearchSpace, rows: Mapping[str, Tensor], *, device: torch.device | str = "cpu") -> dict[str, Mix]:
    """One-hot mixing weights of the choices ``rows``, decision -> [R]."""
    choices = {decision.name: len(decision.choices) for decision in space.decisions()}
    return {name: Mix(one_hot(index, choices[name]).float().to(device, non_blocking=True),
                      index.to(device, non_blocking=True), sampled_only=True, chosen=index.tolist())
            for name, index in rows.items()}
