"""Weighted-regularised triplet loss: all pairs of the batch, the hard ones with more weight."""

import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.errors import ConfigError
from nas_reid.losses.loss import Loss, LossInput, at_least_float32
from nas_reid.losses.triplet import checked_margin

FORMS = ("softmax", "agw")
_AGW_FLOOR = 1e-6  # added to the sums of its softmax


def weighted_triplet(features: Tensor, labels: Tensor, *, margin: float | None, form: str = "softmax") -> Tensor:
    """Weighted-regularised triplet loss on Euclidean distances (AGW; Ye et al. 2021), the mean over the batch.

    log(1 + exp(Σ_p w_p·d_p - Σ_n w_n·d_n)) with w_p = softmax(d_p) over the images of the anchor's identity and
    w_n = softmax(-d_n) over the others; with a ``margin`` the hinge of it, as FastReID offers. As in both codes the
    anchor is one of its own positives, at distance zero. An anchor whose identity has no other image, or that has no
    negative, is left out of the mean.

    The formula is the paper's. The authors' code, and FastReID's after it, divides by the sums of exp(d_p - max_p d_p)
    and of exp(-d_n) plus 1e-6 each: beyond distances of about 14 the negatives' weights vanish instead of adding up to
    1, so their term goes to zero, and pairs that are far apart are pushed further apart for ever.

    Args:
        features: [B, D], not normalised; half precision is computed in float32. Can be differentiated twice.
        labels: [B].
        margin: hinge margin >= 0; None for the soft margin.
        form: ``softmax``, the formula, or ``agw``, the code.

    Returns:
        A scalar.
    """
    same = labels[:, None] == labels[None, :]
    counts = (same.sum(1) > 1) & ~same.all(1)
    distances = pairwise_distances(at_least_float32(features))
    gaps = []
    for scores, mask in ((distances, same), (-distances, ~same)):
        masked = scores.masked_fill(~mask, -torch.inf).masked_fill(~counts[:, None], 0)
        weights = masked.softmax(1) if form == "softmax" else _agw_softmax(masked)
        gaps.append((weights * distances).sum(1))
    gap = gaps[0] - gaps[1]
    losses = functional.softplus(gap) if margin is None else (gap + margin).clamp_min(0)
    return losses.masked_fill(~counts, 0).sum() / counts.sum()


def _agw_softmax(scores: Tensor) -> Tensor:
    """Weights [B, B] of scores that are -inf where they do not count; the largest is taken off, but not below zero."""
    powers = (scores - scores.amax(1, keepdim=True).clamp_min(0)).exp()
    return powers / (powers.sum(1, keepdim=True) + _AGW_FLOOR)


def pairwise_distances(x: Tensor) -> Tensor:
    """Euclidean distances [B, B] of the rows of x [B, D]; zero, with zero gradients of every order, on the diagonal.

    The expanded form: B² numbers instead of B²·D. Subtracting the mean row first costs nothing and keeps its rounding
    error small beside the distances.
    """
    x = x - x.mean(0)
    squares = x.square().sum(1)
    squared = squares[:, None] + squares[None, :] - 2 * x @ x.T
    zero = (squared <= 0) | torch.eye(len(x), dtype=torch.bool, device=x.device)
    return squared.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


class WeightedTriplet(Loss):
    """``weighted_triplet`` of the features.

    Args:
        margin: >= 0, or None for the soft margin, which is AGW's.
        form: ``softmax``, the formula, or ``agw``, the published code; see ``weighted_triplet``.
    """

    compares_samples = needs_pairs = True

    def __init__(self, *, margin: float | None = None, form: str = "softmax") -> None:
        super().__init__()
        if form not in FORMS:
            raise ConfigError(f"form={form} is unknown; known are: {', '.join(FORMS)}")
        self.margin, self.form = checked_margin(margin), form

    def forward(self, batch: LossInput) -> Tensor:
        """See ``weighted_triplet``."""
        return weighted_triplet(batch.features, batch.labels, margin=self.margin, form=self.form)
