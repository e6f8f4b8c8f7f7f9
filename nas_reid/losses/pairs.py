"""Circle and CosFace losses on the cosines of all pairs of a batch, without a classifier."""

import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.losses.loss import Loss, LossInput, at_least_float32, number


def circle_pairs(features: Tensor, labels: Tensor, *, margin: float, scale: float) -> Tensor:
    """Circle loss with pair-wise labels (Sun et al. 2020), the mean over the anchors.

    log(1 + Σ_n exp(γ·[s_n + m]₊·(s_n - m)) · Σ_p exp(-γ·[1 + m - s_p]₊·(s_p - (1 - m)))), where p are the other images
    of the anchor's identity and n those of other identities. The factors in []₊ are constants of the gradient. An
    anchor without a positive or a negative is left out of the mean.

    Args:
        features: [B, D], normalised here.
        labels: [B].
        margin: m.
        scale: γ.

    Returns:
        A scalar.
    """
    cosines = _cosines(features)
    positive = -(1 + margin - cosines.detach()).clamp_min(0) * (cosines - (1 - margin))
    negative = (cosines.detach() + margin).clamp_min(0) * (cosines - margin)
    return _all_pairs(scale * positive, scale * negative, labels)


def cosface_pairs(features: Tensor, labels: Tensor, *, margin: float, scale: float) -> Tensor:
    """log(1 + Σ_n exp(γ·(s_n + m)) · Σ_p exp(-γ·s_p)), the mean over the anchors; as ``circle_pairs`` (FastReID)."""
    cosines = _cosines(features)
    return _all_pairs(-scale * cosines, scale * (cosines + margin), labels)


class _PairSoftmax(Loss):
    compares_samples = needs_pairs = True

    def __init__(self, *, margin: float = 0.25, scale: float = 128.0) -> None:
        super().__init__()
        self.margin = number("margin", margin, lambda m: 0 <= m <= 1, "must lie in [0, 1]")
        self.scale = number("scale", scale, lambda s: 0 < s < float("inf"), "must be positive")


class CirclePairs(_PairSoftmax):
    """See ``circle_pairs``; ``margin`` in [0, 1], ``scale`` > 0."""

    has_constant_factors = True

    def forward(self, batch: LossInput) -> Tensor:
        """See ``circle_pairs``."""
        return circle_pairs(batch.features, batch.labels, margin=self.margin, scale=self.scale)


class CosFacePairs(_PairSoftmax):
    """See ``cosface_pairs``; ``margin`` in [0, 1], ``scale`` > 0."""

    def forward(self, batch: LossInput) -> Tensor:
        """See ``cosface_pairs``."""
        return cosface_pairs(batch.features, batch.labels, margin=self.margin, scale=self.scale)


def _cosines(features: Tensor) -> Tensor:
    unit = functional.normalize(at_least_float32(features))
    return unit @ unit.T


def _all_pairs(positive: Tensor, negative: Tensor, labels: Tensor) -> Tensor:
    """Mean over the anchors that have both of softplus(LSE of the positives + LSE of the negatives)."""
    same = labels[:, None] == labels[None, :]
    pair = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    counts = pair.any(1) & ~same.all(1)
    # An anchor that does not count gets finite entries, lest its -inf alone become NaN in the gradient.
    sums = [scores.masked_fill(~mask, -torch.inf).masked_fill(~counts[:, None], 0).logsumexp(1)
            for scores, mask in ((positive, pair), (negative, ~same))]
    return functional.softplus(sums[0] + sums[1]).masked_fill(~counts, 0).sum() / counts.sum()
