"""Losses between the centres that an identity has in visible and in infrared light."""

import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.errors import DataError
from nas_reid.losses.loss import Loss, LossInput, at_least_float32, number


def cross_modality_contrast(features: Tensor, labels: Tensor, modalities: Tensor, *, temperature: float) -> Tensor:
    """Symmetric InfoNCE between the modalities' identity centres.

    With c_i^v, c_i^t the normalised means of identity i's normalised features in each modality and P identities,
    -1/(2P) · Σ_i (log softmax_j(⟨c_i^v, c_j^t⟩/T)[i] + log softmax_j(⟨c_i^t, c_j^v⟩/T)[i]). Around log P without
    information. This is our reading of what NFS (Chen et al. 2021) calls cross-modality contrastive optimisation; the
    paper's formula is not public. Identities that a batch holds in one modality only do not count; a batch without
    any other gives NaN.

    Args:
        features: [B, D].
        labels: [B].
        modalities: [B], 0 visible, 1 infrared.
        temperature: T > 0.

    Returns:
        A scalar.
    """
    visible, infrared, counts = _centers(functional.normalize(at_least_float32(features)), labels, modalities)
    logits = functional.normalize(visible) @ functional.normalize(infrared).T / temperature
    both = [_own_log_softmax(similarity, counts) for similarity in (logits, logits.T)]
    return -(both[0] + both[1]).sum() / (2 * counts.sum())


def hetero_center(features: Tensor, labels: Tensor, modalities: Tensor) -> Tensor:
    """Mean over identities of ‖c_i^v - c_i^t‖², the centres of the plain features (Zhu et al. 2020, as a mean).

    Arguments and the identities that count are as in ``cross_modality_contrast``.
    """
    visible, infrared, counts = _centers(at_least_float32(features), labels, modalities)
    return (visible - infrared).square().sum(1).masked_fill(~counts, 0).sum() / counts.sum()


class CrossModality(Loss):
    """``cross_modality_contrast`` of the features.

    Args:
        temperature: T > 0.
    """

    compares_samples = needs_modalities = True

    def __init__(self, *, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = number("temperature", temperature, lambda value: 0 < value < float("inf"),
                                  "must be positive")

    def forward(self, batch: LossInput) -> Tensor:
        """See ``cross_modality_contrast``."""
        return cross_modality_contrast(batch.features, batch.labels, _modalities(batch), temperature=self.temperature)


class HeteroCenter(Loss):
    """See ``hetero_center``."""

    compares_samples = needs_modalities = True

    def __init__(self) -> None:
        super().__init__()

    def forward(self, batch: LossInput) -> Tensor:
        """See ``hetero_center``."""
        return hetero_center(batch.features, batch.labels, _modalities(batch))


def _modalities(batch: LossInput) -> Tensor:
    if batch.modalities is None:
        raise DataError("a loss between visible and infrared images was given a batch that does not say which is which")
    return batch.modalities


def _centers(features: Tensor, labels: Tensor, modalities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The centres [B, D] of the rows' identities in both modalities, and which rows [B] stand for one that counts.

    An identity counts if it has both modalities; its first row stands for it. Shapes do not depend on the labels, so
    nothing waits for the device.
    """
    same = labels[:, None] == labels[None, :]
    members = [same & (modalities == modality)[None, :] for modality in (0, 1)]
    counts = ~same.tril(-1).any(1) & members[0].any(1) & members[1].any(1)
    # The other rows get ones: the direction of a row of zeros has no second derivative.
    visible, infrared = ((mask.to(features) @ features / mask.sum(1, keepdim=True).clamp_min(1))
                         .masked_fill(~counts[:, None], 1) for mask in members)
    return visible, infrared, counts


def _own_log_softmax(similarity: Tensor, counts: Tensor) -> Tensor:
    """log softmax over the columns that count, at each row's own; 0 in rows that do not count."""
    log_p = similarity.masked_fill(~counts[None, :], -torch.inf).log_softmax(1)
    return log_p.diagonal().masked_fill(~counts, 0)
