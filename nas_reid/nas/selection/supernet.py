"""A trained supernet as something that scores mixing weights on validation people."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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
        query, gallery: validation images; may be one object.
        rank: (a network without mixes, query, gallery) -> mAP.
        batches: training images, for the statistics of norms that keep some.
    """

    network: ReIDNetwork
    query: ResidentBatches
    gallery: ResidentBatches
    rank: Ranking
    batches: Sequence[Batch]

    def evaluate(self, mixes: Mapping[str, Mix], share: float = 1.0) -> float:
        """mAP under the mixing weights, on the first ``share`` of the validation people, at least two of them."""
        here = {name: Mix(mix.weights.to(device), None if mix.index is None else mix.index.to(device),
                          mix.sampled_only) for device in [self.query.images.device] for name, mix in mixes.items()}
        reestimate(self.network, lambda batch: self.network(batch.images, here, batch.modalities), self.batches)
        query, gallery = self._lists(share)
        return self.rank(WithMixes(self.network, here), query, gallery)

    def _lists(self, share: float) -> tuple[ResidentBatches, ResidentBatches]:
        if share == 1.0:
            return self.query, self.gallery
        people = self._people()
        some = people[:max(2, math.ceil(share * len(people)))]
        query = self.query.of_people(some)
        return query, query if self.gallery is self.query else self.gallery.of_people(some)

    def _people(self) -> Tensor:
        return torch.unique(self.query.pids)
