"""Query expansion: a query joined by what it finds at first, then ranked again.

Two forms, which are not comparable with each other. The paper's (He et al. 2020, FastReID, Eq. 7; Chum et al. 2007)
changes queries alone, by means of the gallery. The published code's raises each image's own similarity to a power
(Radenović et al. 2019) and changes queries and gallery by means of both together: queries see each other, which makes
it transductive, and its numbers must not be set beside those of a method that sees one query at a time.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.evaluation.distance import BLOCK_MEMORY, FeatureDistances, GridFeatures, feature_distances
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.nearest import nearest
from nas_reid.evaluation.placing import BLOCKS, feature_bytes
from nas_reid.evaluation.protocol import JunkRule
from nas_reid.evaluation.reranking import neighbours_of_all


@dataclass(frozen=True)
class QueryExpansion:
    """The paper's form as a variant: f_q becomes (f_q + sum of its k nearest gallery features) / (k + 1).

    Neighbours are what the query's gallery holds without junk; a query with fewer than k of them takes those. Features
    are averaged as they are, not normalised.

    Args:
        k: neighbours, m in Eq. 7.
    """

    k: int = 5
    needs_maps = False
    needs_cosine = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"evaluation.query_expansion.k={self.k} must be at least 1")

    def check(self, num_gallery: int) -> None:
        """See ``variants.Variant``."""
        if self.k > num_gallery:
            raise ConfigError(f"evaluation.query_expansion.k={self.k} is larger than the gallery of {num_gallery} "
                              f"images; choose at most {num_gallery}")

    def distances(self, query: Embedded, gallery: Embedded, *, distance: str, junk: JunkRule) -> FeatureDistances:
        """See ``variants.Variant``."""
        found = nearest(query.features, gallery.features, k=self.k, query_pids=query.pids, query_camids=query.camids,
                        gallery_pids=gallery.pids, gallery_camids=gallery.camids, distance=distance, junk=junk)
        expanded = expanded_queries(query.features, gallery.features, found.to(query.features.device))
        return feature_distances(expanded, gallery.features, distance=distance)

    def memory(self, query: Embedded, gallery: Embedded) -> int:
        """See ``variants.Variant``: features as they are and on the grid, before and after the expansion."""
        return feature_bytes(query, gallery, copies=5) + 16 * self.k * len(query) + BLOCKS

    def describe(self) -> dict[str, Any]:
        """See ``variants.Variant``."""
        return {"method": "query expansion (FastReID, Eq. 7): mean of the query and its nearest, queries only",
                "k": self.k, "transductive": False}


@dataclass(frozen=True)
class TransductiveExpansion:
    """The published code's form as a variant: every image of the union becomes a weighted mean of its k nearest.

    Args:
        k: neighbours by cosine, the image itself counted.
        alpha: power of the similarity.
        rounds: how often.
    """

    k: int = 5
    alpha: float = 3.0
    rounds: int = 1
    needs_maps = False
    needs_cosine = True

    def __post_init__(self) -> None:
        if self.k < 1 or self.rounds < 1 or self.alpha < 0:
            raise ConfigError(f"evaluation.transductive_expansion has k={self.k}, alpha={self.alpha}, rounds="
                              f"{self.rounds}; needs k >= 1, alpha >= 0 and rounds >= 1")

    def check(self, num_gallery: int) -> None:
        """See ``variants.Variant``."""
        if self.k > num_gallery:
            raise ConfigError(f"evaluation.transductive_expansion.k={self.k} is larger than the gallery of "
                              f"{num_gallery} images; choose at most {num_gallery}")

    def distances(self, query: Embedded, gallery: Embedded, *, distance: str, junk: JunkRule) -> FeatureDistances:
        """See ``variants.Variant``; junk takes part, as in the published code."""
        features = expanded_union(torch.cat([query.features, gallery.features]), k=self.k, alpha=self.alpha,
                                  rounds=self.rounds)
        return feature_distances(features[:len(query)], features[len(query):], distance=distance)

    def memory(self, query: Embedded, gallery: Embedded) -> int:
        """See ``variants.Variant``: features, their union, on the grid, and what they become; neighbours thrice."""
        return feature_bytes(query, gallery, copies=5) + 48 * self.k * (len(query) + len(gallery)) + BLOCKS

    def describe(self) -> dict[str, Any]:
        """See ``variants.Variant``."""
        return {"method": "alpha-weighted query expansion of queries and gallery together", "k": self.k,
                "alpha": self.alpha, "rounds": self.rounds, "transductive": True}


def expanded_queries(query: Tensor, gallery: Tensor, found: Tensor) -> Tensor:
    """Eq. 7 for query features [N_q, D] and gallery indices [N_q, k], -1 where a list is shorter."""
    result = torch.empty_like(query)
    for rows in _blocks(query, found.shape[1]):
        taken = gallery[found[rows]].masked_fill_((found[rows] < 0)[..., None], 0)
        result[rows] = (query[rows] + taken.sum(dim=1)) / (1 + (found[rows] >= 0).sum(dim=1, keepdim=True))
    return result


def expanded_union(features: Tensor, *, k: int, alpha: float, rounds: int) -> Tensor:
    """Each row [N, D] becomes the mean over its k nearest, itself included, of the row times cosine^alpha.

    As in the published code the weights are not divided by their sum, and rows are normalised for the cosines alone.
    A negative cosine keeps its sign, so that any alpha is defined and no image attracts one that is opposite; the
    published code gives NaN for a broken alpha and attraction for an even one. With alpha 0 all weights are 1.

    Args:
        features: of queries and gallery together.
        k: neighbours; equally near ones are taken by index.
        alpha: at least 0.
        rounds: at least 1.
    """
    for _ in range(rounds):
        grid = GridFeatures.of(features)
        neighbours, away, _ = neighbours_of_all(FeatureDistances(grid, grid, distance="cosine"), k)
        cosine = 1 - away
        weights = (cosine.abs() ** alpha * (cosine.sign() if alpha else 1)).to(features.dtype)
        result = torch.empty_like(features)
        for rows in _blocks(features, neighbours.shape[1]):
            result[rows] = torch.einsum("bk,bkd->bd", weights[rows], features[neighbours[rows]]) / weights.shape[1]
        features = result
    return features


def _blocks(features: Tensor, k: int) -> list[slice]:
    size = max(1, BLOCK_MEMORY // (8 * k * features.shape[1]))
    return [slice(start, start + size) for start in range(0, len(features), size)]
