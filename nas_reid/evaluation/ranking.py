"""CMC, mAP and mINP of a query x gallery ranking, computed in blocks of queries.

The protocol of Market-1501 as the field computes it, for every data set that does not say otherwise:

* junk, i.e. gallery images of the query's own identity and camera, is removed from the query's list;
* gallery images of pid -1 are removed for every query; distractors (pid 0) stay, as wrong answers;
* a query left without a match is skipped and counted, not scored 0;
* AP is the mean over the matches of the precision at the match (not the trapezoid of the original MATLAB code);
* INP is the number of matches / the rank of the last match (Ye et al. 2021, AGW);
* equal distances rank by gallery index, lower first, as a stable sort would.

Neither the distance matrix nor an order of the gallery is ever held: a match's rank is one plus the number of gallery
images that are closer, so a block of rows needs its distances, of each row the sorted values up to the last match, and
a search for the few matches.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas_reid.errors import DataError
from nas_reid.evaluation.distance import DistanceBlocks, feature_distances, rows_per_block
from nas_reid.evaluation.protocol import JunkRule, Labels, same_identity_and_camera
from nas_reid.progress import progress

_BYTES_PER_PAIR = 48  # distances 8, sorted 8, masks 4; with ties also the tied rows, their order and torch's scratch


@dataclass(frozen=True)
class Ranking:
    """What a ranking is worth. All values are fractions in [0, 1].

    Attributes:
        cmc: [R], share of the valid queries with a match among the first k = 1..R; R is ``max_rank``, or the
            gallery's size where that is smaller.
        mAP, mINP: means over the valid queries.
        ap, inp: [N_q], per query; NaN where skipped.
        first_hit: [N_q], 1-based rank of the first match; 0 where skipped.
        valid: [N_q], false where the query had no match to find.
    """

    cmc: Tensor
    mAP: float
    mINP: float
    ap: Tensor
    inp: Tensor
    first_hit: Tensor
    valid: Tensor

    @property
    def num_skipped(self) -> int:
        """Queries without a match."""
        return int((~self.valid).sum())

    def summary(self) -> dict[str, float]:
        """rank1, rank5, rank10, rank20, mAP, mINP, and how many queries there were and were skipped.

        Ranks beyond the CMC's end repeat its last value: a gallery of 6 images has the same rank-10 as rank-6.
        """
        ranks = {f"rank{k}": float(self.cmc[min(k, len(self.cmc)) - 1]) for k in (1, 5, 10, 20)}
        return {**ranks, "mAP": self.mAP, "mINP": self.mINP,
                "num_queries": len(self.valid), "num_skipped": self.num_skipped}


def rank(query_features: Tensor, gallery_features: Tensor, *, query_pids: Tensor, query_camids: Tensor,
         gallery_pids: Tensor, gallery_camids: Tensor, distance: str = "euclidean", max_rank: int = 50,
         junk: JunkRule = same_identity_and_camera, block: int | None = None) -> Ranking:
    """Rank the gallery for every query by feature distance; computed where the query features lie.

    Args:
        query_features: [N_q, D].
        gallery_features: [N_g, D].
        query_pids, query_camids: [N_q].
        gallery_pids, gallery_camids: [N_g].
        distance: a name of ``distance.DISTANCES``.
        max_rank: length of the CMC.
        junk: which gallery images do not count for a query.
        block: queries at a time; the default fits ``distance.BLOCK_MEMORY``. The result does not depend on it.

    Raises:
        ConfigError: unknown distance.
        DataError: inputs of different lengths or dimensions, not finite, empty, or no query has a match.
    """
    distances = feature_distances(query_features, gallery_features, distance=distance)
    return rank_blocks(distances, query_pids=query_pids, query_camids=query_camids, gallery_pids=gallery_pids,
                       gallery_camids=gallery_camids, max_rank=max_rank, junk=junk, block=block)


def rank_blocks(distances: DistanceBlocks, *, query_pids: Tensor, query_camids: Tensor, gallery_pids: Tensor,
                gallery_camids: Tensor, max_rank: int = 50, junk: JunkRule = same_identity_and_camera,
                block: int | None = None) -> Ranking:
    """As ``rank``, for distances that come from anywhere (features, re-ranking); they must not be NaN."""
    num_queries, num_gallery = distances.shape
    labels = Labels(query_pids, query_camids, gallery_pids, gallery_camids, junk).to(distances)
    size = block or rows_per_block(num_gallery, bytes_per_pair=_BYTES_PER_PAIR)
    ap = torch.full((num_queries,), torch.nan, dtype=torch.float64)
    inp = ap.clone()
    first_hit = torch.zeros(num_queries, dtype=torch.int64)
    for start in progress(range(0, num_queries, size), description="rank", unit="block"):
        stop = min(start + size, num_queries)
        is_junk, is_match = labels.masks(start, stop)
        ranks = match_ranks(distances.block(start, stop).masked_fill_(is_junk, torch.inf), is_match)
        ap[start:stop], inp[start:stop], first_hit[start:stop] = _scores(ranks.cpu())
    valid = first_hit > 0
    if not valid.any():
        raise DataError(labels.why_no_match())
    length = min(max_rank, num_gallery - int((gallery_pids == -1).sum()))
    hits = first_hit[valid, None] <= torch.arange(1, length + 1)
    return Ranking(cmc=hits.double().mean(dim=0), mAP=float(ap[valid].mean()), mINP=float(inp[valid].mean()),
                   ap=ap, inp=inp, first_hit=first_hit, valid=valid)


def match_ranks(distances: Tensor, is_match: Tensor) -> Tensor:
    """1-based ranks of each row's matches, ascending: [b, P] with P the most matches of a row, padded with 0.

    Args:
        distances: [b, N_g]; junk is at +inf.
        is_match: bool [b, N_g].
    """
    rows, columns = is_match.nonzero(as_tuple=True)
    counts = torch.bincount(rows, minlength=len(is_match))
    width = int(counts.max())
    if width == 0:
        return counts.new_zeros(len(counts), 0)
    filled = torch.arange(width, device=counts.device) < counts[:, None]
    matches = distances.new_full((len(counts), width), torch.inf)
    matches[filled] = distances[rows, columns]
    matches = matches.sort(dim=1).values
    closer, within = _positions(distances, matches, counts)
    ranks = closer + 1
    tied = ((within - closer > 1) & filled).any(dim=1)
    if tied.any():
        ranks[tied] = _stable_ranks(distances[tied], is_match[tied], filled[tied])
    return ranks.masked_fill_(~filled, 0)


def _positions(distances: Tensor, matches: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """How many distances of a row [b, N_g] are less than each of its sorted matches [b, P], and how many at most that.

    The first ``counts`` [b] of a row's matches are some; for the others the numbers mean nothing.
    """
    if distances.device.type != "cpu":
        ascending = sorted_rows(distances)
        return torch.searchsorted(ascending, matches), torch.searchsorted(ascending, matches, right=True)
    less, at_most = torch.zeros_like(matches, dtype=torch.int64), torch.zeros_like(matches, dtype=torch.int64)
    rows = zip(distances.numpy(), matches.numpy(), counts.tolist(), less.numpy(), at_most.numpy(), strict=True)
    for row, found, count, below, up_to in rows:
        near = np.sort(row[row <= found[count - 1]])  # most of a gallery is farther than the last match
        below[:], up_to[:] = near.searchsorted(found), near.searchsorted(found, side="right")
    return less, at_most


def sorted_rows(distances: Tensor) -> Tensor:
    """Each row in ascending order. On a CPU by NumPy, whose vectorised sort takes a tenth of torch's time."""
    if distances.device.type == "cpu":
        return torch.from_numpy(np.sort(distances.numpy(), axis=1))
    return distances.sort(dim=1).values


def _stable_ranks(distances: Tensor, is_match: Tensor, filled: Tensor) -> Tensor:
    """The ranks of ``match_ranks`` for rows in which a match is at exactly another image's distance."""
    order = distances.sort(dim=1, stable=True).indices
    ranks = torch.zeros_like(filled, dtype=torch.int64)
    ranks[filled] = is_match.gather(1, order).nonzero()[:, 1] + 1
    return ranks


def _scores(ranks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """AP, INP and the first match's rank [b] of padded match ranks [b, P]; NaN, NaN, 0 for a row without any."""
    counts = (ranks > 0).sum(dim=1)
    if ranks.shape[1] == 0:
        nothing = torch.full_like(counts, torch.nan, dtype=torch.float64)
        return nothing, nothing, counts
    found = torch.arange(1, ranks.shape[1] + 1, device=ranks.device, dtype=torch.float64)
    precision = (found / ranks).masked_fill_(ranks == 0, 0)
    # A running sum adds from left to right, so that the padding, hence the block size, cannot change the rounding.
    return precision.cumsum(dim=1)[:, -1] / counts, counts.double() / ranks.amax(dim=1), ranks[:, 0]
