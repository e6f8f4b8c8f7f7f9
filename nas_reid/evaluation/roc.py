"""Verification: is this pair the same person? ROC curve and TPR at a fixed FPR, over all pairs that count.

A pair of a query and a gallery image is genuine (positive) when both show the same person, otherwise an impostor pair
(negative); junk pairs count as neither. At a threshold t a pair is accepted when its distance is at most t; TPR is the
accepted share of the genuine pairs (true accepts), FPR that of the impostor pairs (false accepts). FastReID's published
code has the two kinds of pairs the other way round: its "TPR" is the rejected share of the impostor pairs.

Only thresholds at genuine distances matter: between two of them TPR stays and FPR grows. Genuine pairs are few, so that
their distances are kept and sorted; the many impostor pairs are only counted, block by block: a row's distances are
sorted and the thresholds looked up in them. Every point of the curve is therefore exact. With more than ``points``
distinct genuine distances the curve has that many thresholds, evenly spaced in TPR: TPR at a fixed FPR is then exact
or too low by at most 1 / ``points``, never too high.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nas_reid.errors import DataError
from nas_reid.evaluation.distance import FeatureDistances, rows_per_block
from nas_reid.evaluation.protocol import JunkRule, Labels, same_identity_and_camera
from nas_reid.evaluation.ranking import sorted_rows
from nas_reid.progress import progress

POINTS = 8192
RATES = (1e-4, 1e-3, 1e-2)
_BYTES_PER_PAIR = 32  # distances 8, sorted 8, masks 4, sorting's scratch
_LOOKUPS = 2**20  # thresholds times rows at a time


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic, from the strictest threshold to the one that accepts every genuine pair.

    Attributes:
        thresholds: [T], distances, ascending.
        tpr, fpr: [T], in [0, 1].
        num_genuine, num_impostor: pairs.
    """

    thresholds: Tensor
    tpr: Tensor
    fpr: Tensor
    num_genuine: int
    num_impostor: int

    def tpr_at(self, fpr: float) -> float:
        """The largest TPR of a threshold whose FPR is at most ``fpr``; 0 where there is none."""
        allowed = int((self.fpr <= fpr).sum())
        return float(self.tpr[allowed - 1]) if allowed else 0.0

    def summary(self) -> dict[str, float | int]:
        """TPR at each of ``RATES``, and how many pairs there were."""
        return {**{f"TPR@FPR={rate:.0e}".replace("e-0", "e-"): self.tpr_at(rate) for rate in RATES},
                "genuine_pairs": self.num_genuine, "impostor_pairs": self.num_impostor}


def roc(distances: FeatureDistances, *, query_pids: Tensor, query_camids: Tensor, gallery_pids: Tensor,
        gallery_camids: Tensor, junk: JunkRule = same_identity_and_camera, points: int = POINTS) -> Roc:
    """The curve over all pairs but junk, where the features are.

    Args:
        distances: [N_q, N_g].
        query_pids, query_camids: [N_q].
        gallery_pids, gallery_camids: [N_g].
        junk: which pairs do not count.
        points: most thresholds.

    Raises:
        DataError: there is no genuine pair, or no impostor pair.
    """
    labels = Labels(query_pids, query_camids, gallery_pids, gallery_camids, junk).to(distances)
    genuine = _genuine(distances, labels)
    if not len(genuine):
        raise DataError(labels.why_no_match())
    thresholds = genuine
    if len(genuine) > points:
        places = torch.arange(1, points + 1, device=genuine.device, dtype=torch.float64) * (len(genuine) / points)
        thresholds = genuine[places.round_().long() - 1]
    thresholds = thresholds.unique()
    accepted, impostors = _impostors(distances, labels, thresholds)
    if not impostors:
        raise DataError("every pair of a query and a gallery image shows the same person; a curve of false accepts "
                        "needs pairs of different people: evaluation.roc=false leaves it out")
    found = torch.searchsorted(genuine, thresholds, right=True)
    return Roc(thresholds.cpu(), found.double().cpu() / len(genuine), accepted.double().cpu() / impostors,
               len(genuine), impostors)


def _genuine(distances: FeatureDistances, labels: Labels) -> Tensor:
    """Distances of all genuine pairs, ascending."""
    size = rows_per_block(distances.shape[1], bytes_per_pair=_BYTES_PER_PAIR)
    parts = []
    for start in range(0, distances.shape[0], size):
        rows, columns = labels.masks(start, min(start + size, distances.shape[0]))[1].nonzero(as_tuple=True)
        parts.append(distances.pairs(rows + start, columns))
    return torch.cat(parts).sort().values


def _impostors(distances: FeatureDistances, labels: Labels, thresholds: Tensor) -> tuple[Tensor, int]:
    """How many impostor pairs each threshold accepts, int64 [T], and how many there are."""
    num_queries, num_gallery = distances.shape
    accepted, total = torch.zeros_like(thresholds, dtype=torch.int64), 0
    size = rows_per_block(num_gallery, bytes_per_pair=_BYTES_PER_PAIR)
    for start in progress(range(0, num_queries, size), description="verify", unit="block"):
        stop = min(start + size, num_queries)
        is_junk, is_match = labels.masks(start, stop)
        is_junk |= is_match
        total += is_junk.numel() - int(is_junk.sum())
        ascending = sorted_rows(distances.block(start, stop).masked_fill_(is_junk, torch.inf))
        for rows in ascending.split(max(1, _LOOKUPS // len(thresholds))):
            accepted += torch.searchsorted(rows, thresholds.expand(len(rows), -1).contiguous(), right=True).sum(dim=0)
    return accepted, total
