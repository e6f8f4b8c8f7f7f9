"""Training objectives: cross-entropy, batch-hard triplet, and Auto-ReID's mixture of the two."""

import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.errors import ConfigError
from nas_reid.model import Output


def cross_entropy(logits: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Softmax cross-entropy with label smoothing, averaged over the batch (Auto-ReID, Eq. 3, as a mean).

    The target gives eps/N to each of the N classes, the true one included, and 1 - eps more to the true one
    (Szegedy et al. 2016). The other convention in use, eps/(N-1) on the wrong classes only, is this one with
    eps·N/(N-1).

    Args:
        logits: [B, N]; half precision is computed in float32.
        labels: [B], 0..N-1.
        smoothing: eps in [0, 1).

    Returns:
        A scalar.
    """
    return functional.cross_entropy(_at_least_float32(logits), labels, label_smoothing=smoothing)


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
    features = _at_least_float32(features)
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


class RetrievalObjective:
    """λ · cross-entropy + (1 - λ) · triplet (Auto-ReID, Eq. 5). A term of weight zero is not computed.

    Args:
        identity_weight: λ in [0, 1]; 1 is pure cross-entropy, 0 pure triplet.
        margin: of the triplet term; None for the soft margin.
        smoothing: label smoothing of the cross-entropy term.

    Raises:
        ConfigError: a value is outside its range.
    """

    def __init__(self, *, identity_weight: float, margin: float | None, smoothing: float = 0.0) -> None:
        if not 0 <= identity_weight <= 1:
            raise ConfigError(f"identity_weight={identity_weight} must lie in [0, 1]: 1 is pure cross-entropy, "
                              "0 pure triplet")
        if margin is not None and not 0 <= margin < float("inf"):
            raise ConfigError(f"margin={margin} must be finite and >= 0; use null for the soft margin")
        if not 0 <= smoothing < 1:
            raise ConfigError(f"smoothing={smoothing} must lie in [0, 1); 0 switches label smoothing off")
        self.identity_weight = identity_weight
        self.margin = margin
        self.smoothing = smoothing

    def __call__(self, output: Output, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and its unweighted parts (``cross_entropy``, ``triplet``), detached, for the record."""
        terms: dict[str, tuple[float, Tensor]] = {}
        if self.identity_weight > 0:
            loss = cross_entropy(output.logits, labels, smoothing=self.smoothing)
            terms["cross_entropy"] = (self.identity_weight, loss)
        if self.identity_weight < 1:
            loss = triplet_batch_hard(output.features, labels, margin=self.margin)
            terms["triplet"] = (1 - self.identity_weight, loss)
        total = sum(weight * term for weight, term in terms.values())
        return total, {name: term.detach() for name, (_, term) in terms.items()}


def _row_distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance of paired rows [B]; exactly zero, with zero gradients of every order, where x == y."""
    squared = (x - y).square().sum(dim=1)
    zero = squared == 0
    return squared.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
