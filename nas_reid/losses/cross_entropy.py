"""Softmax cross-entropy over identities, with the label smoothings in use."""

import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.errors import ConfigError
from nas_reid.losses.loss import Loss, LossInput, at_least_float32, number

SMOOTHING_FORMS = ("all_classes", "wrong_classes", "adaptive")


def cross_entropy(logits: Tensor, labels: Tensor, *, smoothing: float = 0.0, form: str = "all_classes") -> Tensor:
    """Softmax cross-entropy with label smoothing, averaged over the batch (Auto-ReID, Eq. 3, as a mean).

    ``all_classes``: the target gives eps/N to each of the N classes, the true one included, and 1 - eps more to the
    true one (Szegedy et al. 2016; torch, Bag of Tricks). ``wrong_classes``: eps/(N-1) to each wrong class and 1 - eps
    to the true one (FastReID); equal to the first with eps·N/(N-1). ``adaptive``: as the second, with eps = smoothing
    · p(true class) of each image, held constant in the gradient (FastReID's code for a negative eps).

    Args:
        logits: [B, N]; half precision is computed in float32.
        labels: [B], 0..N-1.
        smoothing: eps in [0, 1).
        form: one of ``SMOOTHING_FORMS``.

    Returns:
        A scalar.
    """
    logits = at_least_float32(logits)
    if not smoothing or form == "all_classes":
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    log_p = logits.log_softmax(1)
    true = log_p.gather(1, labels[:, None]).squeeze(1)
    eps = smoothing if form == "wrong_classes" else smoothing * true.detach().exp()
    wrong = (log_p.sum(1) - true) / (logits.shape[1] - 1)
    return -torch.mean((1 - eps) * true + eps * wrong)


class CrossEntropy(Loss):
    """``cross_entropy`` of the classifier's logits.

    Args:
        smoothing: eps in [0, 1).
        smoothing_form: who gets eps: ``all_classes``, ``wrong_classes`` or ``adaptive``.
        scale: factor of the logits, > 0; cosines need one, such as 16.
    """

    learns_identities = True

    def __init__(self, *, smoothing: float = 0.0, smoothing_form: str = "all_classes", scale: float = 1.0) -> None:
        super().__init__()
        self.smoothing, self.form = checked_smoothing(smoothing, smoothing_form)
        self.scale = number("scale", scale, lambda value: 0 < value < float("inf"), "must be positive")
        self.has_constant_factors = smoothing_form == "adaptive"

    def forward(self, batch: LossInput) -> Tensor:
        """See ``cross_entropy``."""
        logits = batch.logits if self.scale == 1 else batch.logits * self.scale
        return cross_entropy(logits, batch.labels, smoothing=self.smoothing, form=self.form)


def checked_smoothing(smoothing: float, form: str) -> tuple[float, str]:
    """Both, if they are legal.

    Raises:
        ConfigError: smoothing outside [0, 1), or an unknown form.
    """
    if form not in SMOOTHING_FORMS:
        raise ConfigError(f"smoothing_form={form} is unknown; known are: {', '.join(SMOOTHING_FORMS)}")
    return number("smoothing", smoothing, lambda eps: 0 <= eps < 1, "must lie in [0, 1); 0 is off"), form
