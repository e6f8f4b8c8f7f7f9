"""A genotype's own ops in the supernet."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nas_reid.genotype import Genotype
from nas_reid.search_space import Mix, OffersOneHot, SearchSpace


def path_of(space: SearchSpace, genotype: Genotype, probabilities: Mapping[str, Tensor], *,
            device: torch.device | str = "cpu") -> dict[str, Mix]:
    """One-hot mixing weights that run a genotype's own ops in the supernet.

    Those of ``space.one_hot``, in which what the genotype leaves out is left out; a space without it runs the likeliest
    choice of every row.

    Args:
        space: of the genotype.
        genotype: whose path it is.
        probabilities: decision -> [R, K], from which it was derived.
        device: of the mixing weights.
    """
    if isinstance(space, OffersOneHot):
        weights = space.one_hot(genotype)
    else:
        weights = {name: torch.zeros_like(table).scatter_(1, table.argmax(1, keepdim=True), 1.0)
                   for name, table in probabilities.items()}
    return {name: Mix(weight.float().to(device), weight.argmax(1).to(device), sampled_only=True)
            for name, weight in weights.items()}
