"""Softmax cross-entropy over cosines, with a margin on the true class."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from nas_reid.losses.cross_entropy import checked_smoothing, cross_entropy
from nas_reid.losses.loss import Loss, LossInput, at_least_float32, number


def arcface_logits(cosines: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """The cosines with cos(θ + m) at the true class (ArcFace; Deng et al. 2019, Eq. 3).

    Past θ + m = π, where cos(θ + m) would rise again, the true class gets cos θ - m·sin m, as in the authors' code.
    The gradient is finite for every θ; at cos θ = ±1, where that of sin θ is not, its part is left out.

    Args:
        cosines: [B, N]; beyond ±1 by rounding is as ±1.
        labels: [B].
        margin: m in radians, in [0, π/2].

    Returns:
        [B, N], not scaled.
    """
    index, cos_m, sin_m = labels[:, None], math.cos(margin), math.sin(margin)
    cos = cosines.gather(1, index).clamp(-1, 1)
    square = 1 - cos.square()
    zero = square <= 0
    sin = square.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
    shifted = torch.where(cos >= -cos_m, cos * cos_m - sin * sin_m, cos - margin * sin_m)
    return cosines.scatter(1, index, shifted)


def cosface_logits(cosines: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """The cosines with cos θ - m at the true class (CosFace; Wang et al. 2018, Eq. 4); shapes as ``arcface_logits``."""
    index = labels[:, None]
    return cosines.scatter(1, index, cosines.gather(1, index) - margin)


def circle_logits(cosines: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """Self-paced logits of the Circle loss with class labels (Sun et al. 2020), not scaled.

    [1 + m - s]₊·(s - (1 - m)) at the true class, [s + m]₊·(s - m) at the others. The factors in []₊ are constants of
    the gradient. Shapes as ``arcface_logits``.
    """
    index = labels[:, None]
    true = cosines.gather(1, index)
    pace = (1 + margin - true.detach()).clamp_min(0)
    others = (cosines.detach() + margin).clamp_min(0) * (cosines - margin)
    return others.scatter(1, index, pace * (true - (1 - margin)))


class _MarginSoftmax(Loss):
    """Cross-entropy of scale · logits; a subclass says which logits the cosines become.

    Args:
        margin: m, in ``margins``.
        scale: s > 0.
        smoothing, smoothing_form: see ``cross_entropy``.
    """

    needs_cosines = learns_identities = True
    margins: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, *, margin: float, scale: float = 64.0, smoothing: float = 0.0,
                 smoothing_form: str = "all_classes") -> None:
        super().__init__()
        low, high = self.margins
        self.margin = number("margin", margin, lambda m: low <= m <= high, f"must lie in [{low:g}, {high:g}]")
        self.scale = number("scale", scale, lambda s: 0 < s < float("inf"), "must be positive")
        self.smoothing, self.form = checked_smoothing(smoothing, smoothing_form)
        self.has_constant_factors = self.has_constant_factors or smoothing_form == "adaptive"

    def forward(self, batch: LossInput) -> Tensor:
        """The mean over the batch."""
        logits = self.logits(at_least_float32(batch.logits), batch.labels)
        return cross_entropy(self.scale * logits, batch.labels, smoothing=self.smoothing, form=self.form)

    def logits(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """Logits [B, N] before the scale."""
        raise NotImplementedError


class ArcFace(_MarginSoftmax):
    """See ``arcface_logits``; ``margin`` in radians."""

    margins = (0.0, math.pi / 2)

    def __init__(self, *, margin: float = 0.5, scale: float = 64.0, smoothing: float = 0.0,
                 smoothing_form: str = "all_classes") -> None:
        super().__init__(margin=margin, scale=scale, smoothing=smoothing, smoothing_form=smoothing_form)

    def logits(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """See ``arcface_logits``."""
        return arcface_logits(cosines, labels, margin=self.margin)


class CosFace(_MarginSoftmax):
    """See ``cosface_logits``."""

    def __init__(self, *, margin: float = 0.35, scale: float = 64.0, smoothing: float = 0.0,
                 smoothing_form: str = "all_classes") -> None:
        super().__init__(margin=margin, scale=scale, smoothing=smoothing, smoothing_form=smoothing_form)

    def logits(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """See ``cosface_logits``."""
        return cosface_logits(cosines, labels, margin=self.margin)


class Circle(_MarginSoftmax):
    """Circle loss with class labels; see ``circle_logits``."""

    has_constant_factors = True

    def __init__(self, *, margin: float = 0.35, scale: float = 64.0, smoothing: float = 0.0,
                 smoothing_form: str = "all_classes") -> None:
        super().__init__(margin=margin, scale=scale, smoothing=smoothing, smoothing_form=smoothing_form)

    def logits(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """See ``circle_logits``."""
        return circle_logits(cosines, labels, margin=self.margin)
