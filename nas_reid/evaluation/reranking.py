"""k-reciprocal re-ranking (Zhong et al., CVPR 2017) without a dense matrix.

The final distance is (1 - λ) · Jaccard distance of k-reciprocal neighbourhoods + λ · d² / max d², where the maximum is
over the query's row. An image's neighbourhood is a row of weights exp(-d² / max d²) over its k1-reciprocal neighbours,
expanded by those of their k1/2-reciprocal sets that overlap it by more than two thirds, normalised to 1 and averaged
over the image's k2 nearest (itself included). Queries and gallery form one set: the method is transductive.

What the dense algorithm holds as N x N matrices is here, with N = N_q + N_g: the k1 + 1 nearest of each image, found by
blocks; the neighbourhoods' few non-zero weights; and lists of who has an image in its neighbourhood, from which the
overlaps of one query with the whole gallery are added up. Ties are taken by index, queries before gallery. An image is
always in its own neighbourhood; the published code leaves it empty for an image with more than k1 identical ones.
"""

from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.evaluation.distance import FeatureDistances, GridFeatures, rows_per_block
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.nearest import smallest
from nas_reid.evaluation.placing import BLOCKS, feature_bytes
from nas_reid.evaluation.protocol import JunkRule
from nas_reid.evaluation.sparse_rows import SparseRows
from nas_reid.progress import progress

_TILE = 1448  # images; 16 MiB of distances. Larger arrays leave the cache, and malloc maps each of them anew
_ROWS_AVERAGED = 1024  # rows of neighbourhoods averaged at a time


@dataclass(frozen=True)
class KReciprocal:
    """k-reciprocal re-ranking as a variant of a plain ranking; arguments of ``rerank``, the paper's by default.

    Args:
        k1: size of the reciprocal neighbourhoods.
        k2: how many neighbours' rows are averaged.
        weight: λ, of the original distance.
    """

    k1: int = 20
    k2: int = 6
    weight: float = field(default=0.3, metadata={"key": "lambda"})
    needs_maps = False
    needs_cosine = False

    def __post_init__(self) -> None:
        _require(self.k1, self.k2, self.weight)

    def check(self, num_gallery: int) -> None:
        """See ``variants.Variant``."""
        for name, value in (("k1", self.k1), ("k2", self.k2)):
            if value > num_gallery:
                raise ConfigError(f"evaluation.rerank.{name}={value} is larger than the gallery of {num_gallery} "
                                  f"images; choose at most {num_gallery}")

    def distances(self, query: Embedded, gallery: Embedded, *, distance: str, junk: JunkRule) -> "Reranked":
        """See ``variants.Variant``; junk takes part, as in the published code."""
        return rerank(query.features, gallery.features, k1=self.k1, k2=self.k2, weight=self.weight, distance=distance)

    def memory(self, query: Embedded, gallery: Embedded) -> int:
        """See ``variants.Variant``: features, their union and that on the grid; neighbours thrice; neighbourhoods.

        An image's neighbourhood has at most 1 + k + k h members with k = k1 + 1 and h = k1 / 2 + 1, and the mean of k2
        of them k2 times as many. The entries, 16 bytes each, are there as parts and as a whole, are turned over, and
        sorted meanwhile: five times.
        """
        num_images, k = len(query) + len(gallery), self.k1 + 1
        members = min(num_images, (1 + k + k * (round(self.k1 / 2) + 1)) * self.k2)
        return (feature_bytes(query, gallery, copies=3) + 48 * max(k, self.k2) * num_images
                + 5 * 16 * members * num_images + BLOCKS)

    def describe(self) -> dict[str, Any]:
        """See ``variants.Variant``."""
        return {"method": "k-reciprocal re-ranking (Zhong et al. 2017)", "k1": self.k1, "k2": self.k2,
                "lambda": self.weight, "transductive": True}


class Reranked:
    """Re-ranked distances by blocks of queries (a ``distance.DistanceBlocks``); build with ``rerank``.

    Args:
        distances: between all N images, queries first.
        row_max: [N], each image's largest distance.
        neighbourhoods: [N, N].
        num_queries: N_q.
        weight: λ.
    """

    def __init__(self, distances: FeatureDistances, row_max: Tensor, neighbourhoods: SparseRows, *,
                 num_queries: int, weight: float) -> None:
        self._distances = distances.part(slice(0, num_queries), slice(num_queries, None))
        self.shape = self._distances.shape
        self.device = distances.device
        self._row_max = row_max
        self._neighbourhoods = neighbourhoods
        self._inverted = neighbourhoods.transposed(num_queries)
        self._weight = weight

    def block(self, start: int, stop: int) -> Tensor:
        """Float64 distances [stop - start, N_g] of queries ``start`` to ``stop - 1``."""
        original = self._distances.block(start, stop).div_(self._row_max[start:stop, None]).square_()
        overlap = self._neighbourhoods.overlaps(slice(start, stop), self._inverted)
        # Rows sum to 1, so the union is 2 - the intersection: 1 - t / (2 - t) = 2 + 2 / (t - 2), which takes no memory.
        jaccard = overlap.sub_(2).reciprocal_().mul_(2).add_(2)
        return jaccard.mul_(1 - self._weight).add_(original, alpha=self._weight)


def rerank(query_features: Tensor, gallery_features: Tensor, *, k1: int = 20, k2: int = 6, weight: float = 0.3,
           distance: str = "euclidean") -> Reranked:
    """Prepare re-ranked distances for ``ranking.rank_blocks``.

    Args:
        query_features: [N_q, D].
        gallery_features: [N_g, D].
        k1: size of the reciprocal neighbourhoods.
        k2: how many neighbours' rows are averaged; 1 for none.
        weight: λ in [0, 1], of the original distance.
        distance: what d is, a name of ``distance.DISTANCES``. The paper takes ``euclidean``; torchreid's published
            re-ranked numbers come from ``squared_euclidean``.

    Raises:
        ConfigError: a value is outside its range, or the distance is unknown.
        DataError: features that do not fit or are not finite.
    """
    _require(k1, k2, weight)
    features = torch.cat([query_features, gallery_features.to(query_features.device)])
    union = GridFeatures.of(features)
    distances = FeatureDistances(union, union, distance=distance)
    neighbours, away, row_max = neighbours_of_all(distances, max(k1 + 1, k2))
    neighbourhoods = _neighbourhoods(distances, row_max, neighbours[:, :k1 + 1], away[:, :k1 + 1],
                                     neighbours[:, :round(k1 / 2) + 1])
    if k2 > 1:
        parts = neighbours[:, :k2].split(_ROWS_AVERAGED)
        neighbourhoods = SparseRows.stacked([neighbourhoods.averaged(part) for part in parts])
    return Reranked(distances, row_max, neighbourhoods, num_queries=len(query_features), weight=weight)


def _require(k1: int, k2: int, weight: float) -> None:
    if k1 < 1 or k2 < 1 or not 0 <= weight <= 1:
        raise ConfigError(f"re-ranking got k1={k1}, k2={k2}, lambda={weight}; needs k1 >= 1, k2 >= 1 and "
                          "0 <= lambda <= 1 (the paper: 20, 6, 0.3)")


def neighbours_of_all(distances: FeatureDistances, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Each image's k nearest [N, min(k, N)], how far they are, and its largest distance [N] (1 where all are zero).

    Distances are symmetric to the last bit, so a tile of them serves its rows and, transposed, its columns.
    """
    num_images = distances.shape[0]
    tiles = [slice(start, min(start + _TILE, num_images)) for start in range(0, num_images, _TILE)]
    row_max = distances.query.squares.new_zeros(num_images)
    values = row_max.new_full((num_images, min(k, num_images)), torch.inf)
    neighbours = torch.zeros_like(values, dtype=torch.int64)

    def see(rows: slice, columns: slice, tile: Tensor) -> None:
        """Keep the nearest. Columns come in ascending order, which is how ties are taken."""
        row_max[rows] = row_max[rows].maximum(tile.amax(dim=1))
        nearest, places = smallest(tile, k)
        known = torch.cat([neighbours[rows], places + columns.start], dim=1)
        values[rows], places = smallest(torch.cat([values[rows], nearest], dim=1), values.shape[1])
        neighbours[rows] = known.gather(1, places)

    pairs = list(combinations_with_replacement(tiles, 2))
    for rows, columns in progress(pairs, description="neighbours", unit="tile"):
        tile = distances.part(rows, columns).block(0, rows.stop - rows.start)
        see(rows, columns, tile)
        if columns != rows:
            see(columns, rows, tile.T.contiguous())
    return neighbours, values, row_max.masked_fill_(row_max == 0, 1)


def _neighbourhoods(distances: FeatureDistances, row_max: Tensor, nearest: Tensor, away: Tensor,
                    half: Tensor) -> SparseRows:
    """The weights exp(-d² / max d²) of every image's expanded k-reciprocal neighbours, rows normalised to 1.

    Args:
        distances: between all images.
        row_max: [N].
        nearest: [N, k1 + 1].
        away: [N, k1 + 1], the distances of the nearest.
        half: [N, k1/2 + 1], the start of ``nearest``.
    """
    num_images = len(nearest)
    images = torch.arange(num_images, device=nearest.device)
    size = rows_per_block(nearest.shape[1] ** 2 * half.shape[1], bytes_per_pair=8)
    half_mutual = torch.cat([_mutual(part, half) for part in images.split(size)])
    parts = []
    for rows in progress(images.split(size), description="neighbourhoods", unit="block"):
        members, places = _expanded(rows, nearest[rows], _mutual(rows, nearest), half, half_mutual)
        is_member = (members < num_images) & (members != members.roll(1, dims=1))  # sorted: repeats follow each other
        counts, columns, places = is_member.sum(dim=1), members[is_member], places[is_member]
        owners = torch.repeat_interleave(counts)
        # Where a member is among the nearest its first place says so, and its distance is known.
        far = distances.query.squares.new_zeros(len(columns))
        known = (places > 0) & (places <= away.shape[1])
        far[known] = away[rows[owners[known]], places[known] - 1]
        added = places > away.shape[1]
        far[added] = distances.pairs(rows[owners[added]], columns[added])
        weights = (-(far / row_max[rows][owners]).square_()).exp_()
        parts.append(SparseRows.of(counts, columns, weights / _sums(weights, counts)[owners], num_columns=num_images))
    return SparseRows.stacked(parts)


def _mutual(rows: Tensor, nearest: Tensor) -> Tensor:
    """Which of the images' nearest have the image among their own nearest: bool [b, k]."""
    return (nearest[nearest[rows]] == rows[:, None, None]).any(dim=2)


def _expanded(rows: Tensor, candidates: Tensor, mutual: Tensor, half: Tensor,
              half_mutual: Tensor) -> tuple[Tensor, Tensor]:
    """Members of the expanded reciprocal sets, sorted, with repeats, padded with N: [b, 1 + K + K · H].

    Their places tell where they come from, the first of a member's first: 0, the image itself; 1 to K, its candidates;
    beyond, the candidates' sets.

    Args:
        rows: [b], the images.
        candidates: [b, K], the images' nearest.
        mutual: bool [b, K], which of them are reciprocal.
        half: [N, H], every image's H nearest.
        half_mutual: bool [N, H], which of those are reciprocal.
    """
    theirs, is_theirs = half[candidates], half_mutual[candidates]  # [b, K, H]
    shared = ((theirs[..., None] == candidates[:, None, None]) & mutual[:, None, None]).any(dim=3) & is_theirs
    accepted = mutual & (3 * shared.sum(dim=2) > 2 * is_theirs.sum(dim=2))
    own = candidates.masked_fill(~mutual, len(half))
    added = theirs.masked_fill(~(is_theirs & accepted[..., None]), len(half))
    return torch.cat([rows[:, None], own, added.flatten(1)], dim=1).sort(dim=1, stable=True)


def _sums(values: Tensor, counts: Tensor) -> Tensor:
    """Sums [b] of consecutive groups of ``counts`` values, each added from left to right."""
    padded = values.new_zeros(len(counts), int(counts.max()))
    padded[torch.arange(padded.shape[1], device=counts.device) < counts[:, None]] = values
    if padded.is_cuda:  # whose running sum has no fixed order, and is refused with deterministic=true
        return reduce(torch.add, padded.unbind(dim=1))
    return padded.cumsum(dim=1)[:, -1]
