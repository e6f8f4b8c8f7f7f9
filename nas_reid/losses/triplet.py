"""Batch-hard triplet loss."""

import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.losses.loss import Loss, LossInput, at_least_float32, number


def triplet_batch_hard(features: Tensor, labels: Tensor, *, margin: float | None) -> Tensor:
    """Batch-hard triplet loss on Euclidean distances (Hermans et al. 2017; Auto-ReID, Eq. 4, as a mean).

    mean_i max(0, margin + d(i, farthest positive) - d(i, nearest negative)), or with ``margin=None`` the soft
    margin log(1 + exp(d_p - d_n)). Auto-ReID prints Eq. 4 as max(margin, d_p - d_n), which has no gradient
    before d_p exceeds d_n by the margin; the hinge is meant.

    A row without a positive (another image of its identity) or without a negative has no triplet and is left out
    of the mean. A batch in which no row has one has no loss: the result is NaN, never a silent zero. Identity
    batches of P >= 2 identities with K >= 2 images each cannot get there.

    Args:
        features: [B, D], not normalised; half precision is computed in float32. The gradient at distance zero is
            zero (a subgradient), and the loss can be differentiated twice.
        labels: [B].
        margin: hinge margin >= 0, in units of the distance; None for the soft margin.

    Returns:
        A scalar.
    """
    features = at_least_float32(features)
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    with torch.no_grad():
        # Mining needs no gradient; the expanded form of the distance would pick wrong pairs among near duplicates.
        distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
        farthest_positive = distances.masked_fill(~positive, -torch.inf).argmax(dim=1)
        nearest_negative = distances.masked_fill(same, torch.inf).argmin(dim=1)
    gap = _row_distance(features, features[farthest_positive]) - _row_distance(features, features[nearest_negative])
    losses = functional.softplus(gap) if margin is None else (gap + margin).clamp_min(0)
    has_triplet = positive.any(dim=1) & ~same.all(dim=1)
    return losses.masked_fill(~has_triplet, 0).sum() / has_triplet.sum()


class Triplet(Loss):
    """``triplet_batch_hard`` of the features.

    Args:
        margin: >= 0, or None for the soft margin.
    """

    compares_samples = needs_pairs = True

    def __init__(self, *, margin: float | None = 0.3) -> None:
        super().__init__()
        self.margin = checked_margin(margin)

    def forward(self, batch: LossInput) -> Tensor:
        """See ``triplet_batch_hard``."""
        return triplet_batch_hard(batch.features, batch.labels, margin=self.margin)


def checked_margin(margin: float | None) -> float | None:
    """The margin of a triplet loss, if it is legal.

    Raises:
        ConfigError: neither None nor a finite number >= 0.
    """
    rule = "must be finite and >= 0, or null for the soft margin"
    return None if margin is None else number("margin", margin, lambda value: 0 <= value < float("inf"), rule)


def _row_distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance of paired rows [B]; exactly zero, with zero gradients of every order, where x == y."""
    squared = (x - y).square().sum(dim=1)
    zero = squared == 0
    return squared.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
