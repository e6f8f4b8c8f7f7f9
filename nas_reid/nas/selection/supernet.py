"""A trained supernet as something that scores mixing weights on validation people."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import nn

from nas_reid.data.batches import Batch
from nas_reid.data.resident import ResidentBatches
from nas_reid.nas.selection.norm_statistics import reestimate
from nas_reid.network.model import ReIDNetwork, WithMixes
from nas_reid.search_space import Mix

Ranking = Callable[[nn.Module, ResidentBatches, ResidentBatches], float]


@dataclass(frozen=True)
class Supernet:
    """Scores mixing weights.

    Args:
        network: the supernet with its head.
        lists: query and gallery of each set of validation images; the two may be one object.
        rank: (a network without mixes, query, gallery) -> mAP.
        batches: training images, for the statistics of norms that keep some.
    """

    network: ReIDNetwork
    lists: Sequence[tuple[ResidentBatches, ResidentBatches]]
    rank: Ranking
    batches: Sequence[Batch]

    def evaluate(self, mixes: Mapping[str, Mix], share: float = 1.0) -> float:
        """mAP under the mixing weights, on the first ``share`` of the validation people, at least two of them.

        Of several sets of validation images the mean.
        """
        device = self.lists[0][0].images.device
        here = {name: Mix(mix.weights.to(device), None if mix.index is None else mix.index.to(device),
                          mix.sampled_only) for name, mix in mixes.items()}
        reestimate(self.network, lambda batch: self.network(batch.images, here, batch.modalities), self.batches)
        return fmean(self.rank(WithMixes(self.network, here), *_first(share, *lists)) for lists in self.lists)


def _first(share: float, query: ResidentBatches, gallery: ResidentBatches) -> tuple[ResidentBatches, ResidentBatches]:
    if share == 1.0:
        return query, gallery
    people = torch.unique(query.pids)
    some = people[:max(2, math.ceil(share * len(people)))]
    asked = query.of_people(some)
    return asked, asked if gallery is query else gallery.of_people(some)
