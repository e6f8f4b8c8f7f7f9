"""What a student learns from its teachers beside the objective: their logits, or how alike they find two images."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_reid.data.batches import Batch
from nas_reid.errors import ConfigError
from nas_reid.losses.loss import at_least_float32, number
from nas_reid.losses.objective import build_losses
from nas_reid.network.model import Output, ReIDNetwork
from nas_reid.parallel.tensors import gather


def l1_logits(student: Tensor, teacher: Tensor) -> Tensor:
    """||l_s - l_t||_1 of logits [B, N], averaged over the batch (FastReID, Eq. 8). It grows with N."""
    return (at_least_float32(student) - at_least_float32(teacher)).abs().sum(1).mean()


def kl_logits(student: Tensor, teacher: Tensor, *, temperature: float, symmetric: bool) -> Tensor:
    """T² KL(softmax(l_t / T) || softmax(l_s / T)) of logits [B, N], averaged over the batch (Hinton et al. 2015).

    ``symmetric`` takes the mean of the two directions, as FastReID's code does, with T = 16 and the name "JS".
    """
    log_s, log_t = ((at_least_float32(logits) / temperature).log_softmax(1) for logits in (student, teacher))
    loss = functional.kl_div(log_s, log_t, log_target=True, reduction="batchmean")
    if symmetric:
        loss = (loss + functional.kl_div(log_t, log_s, log_target=True, reduction="batchmean")) / 2
    return temperature**2 * loss


def probabilistic_transfer(student: Tensor, teacher: Tensor, *, form: str) -> Tensor:
    """KL divergence of the similarities within a batch (Passalis and Tefas 2018; FastReID, Eq. 9).

    For each image i, K(i, j) over the other images j, divided by its sum, is a distribution p_t for the teacher and p_s
    for the student; the loss is the sum over i and j of p_t log(p_t / p_s). Features of student and teacher may differ
    in width.

    With the raw cosine that Eq. 9 names as K, the logarithm is undefined as soon as two images are more than a right
    angle apart, and so is the quotient where a row sums to zero. K is therefore (1 + cos) / 2, as in the method's own
    paper, and at least 1e-7. A feature of zero has the cosine 0 with all others; a single image has the loss 0.

    Args:
        student, teacher: [B, D_s] and [B, D_t].
        form: ``sum``: as above, which grows with B; or ``mean``: j = i takes part too, and the mean over all B² pairs
            counts: FastReID's former code, which gave it a weight of 10,000.

    Returns:
        A scalar.
    """
    kernels = []
    for features in (student, teacher):
        directions = functional.normalize(at_least_float32(features), dim=1)
        kernels.append(((1 + directions @ directions.T) / 2).clamp_min(1e-7))
    if form == "sum":
        itself = torch.eye(len(student), dtype=torch.bool, device=student.device)
        kernels = [kernel.masked_fill(itself, 0) for kernel in kernels]
    p_s, p_t = (kernel / kernel.sum(1, keepdim=True).clamp_min(1e-7) for kernel in kernels)
    if form == "mean":
        return (p_t * ((p_t + 1e-7) / (p_s + 1e-7)).log()).mean()
    return (p_t * (p_t.masked_fill(itself, 1) / p_s.masked_fill(itself, 1)).log()).sum()


class L1Logits(nn.Module):
    """``l1_logits`` of the classifiers.

    Args:
        scale, teacher_scale: factors of the logits, > 0; those of a cosine classifier need one.
    """

    compares_classes = True

    def __init__(self, *, scale: float = 1.0, teacher_scale: float = 1.0) -> None:
        super().__init__()
        self.scale, self.teacher_scale = _positive("scale", scale), _positive("teacher_scale", teacher_scale)

    def forward(self, student: Output, teacher: Output) -> Tensor:
        """See ``l1_logits``; stripes count as images."""
        return l1_logits(self.scale * _rows(student.logits), self.teacher_scale * _rows(teacher.logits))


class KLLogits(nn.Module):
    """``kl_logits`` of the classifiers.

    Args:
        temperature: T > 0.
        symmetric: take both directions.
        scale, teacher_scale: factors of the logits, > 0; those of a cosine classifier need one.
    """

    compares_classes = True

    def __init__(self, *, temperature: float = 16.0, symmetric: bool = False, scale: float = 1.0,
                 teacher_scale: float = 1.0) -> None:
        super().__init__()
        self.temperature, self.symmetric = _positive("temperature", temperature), symmetric
        self.scale, self.teacher_scale = _positive("scale", scale), _positive("teacher_scale", teacher_scale)

    def forward(self, student: Output, teacher: Output) -> Tensor:
        """See ``kl_logits``; stripes count as images."""
        return kl_logits(self.scale * _rows(student.logits), self.teacher_scale * _rows(teacher.logits),
                         temperature=self.temperature, symmetric=self.symmetric)


class ProbabilisticTransfer(nn.Module):
    """``probabilistic_transfer`` of the features before the neck.

    Args:
        form: ``sum`` or ``mean``.
    """

    compares_classes = False

    def __init__(self, *, form: str = "sum") -> None:
        super().__init__()
        if form not in ("sum", "mean"):
            raise ConfigError(f"form={form} is unknown; known are: sum, mean")
        self.form = form

    def forward(self, student: Output, teacher: Output) -> Tensor:
        """See ``probabilistic_transfer``; of the batch of all processes."""
        features = (gather(output.features.flatten(1)) for output in (student, teacher))
        return probabilistic_transfer(*features, form=self.form)


DISTILLATIONS: dict[str, type[nn.Module]] = {"l1": L1Logits, "kl": KLLogits, "pkt": ProbabilisticTransfer}


class Distillation:
    """Weighted sum of losses between a student and its teachers; with several teachers, the mean over them.

    The teachers see the student's augmented images, in evaluation mode and without gradients.

    Args:
        terms: key of ``DISTILLATIONS`` -> arguments, and ``weight``; None leaves it out.
        teachers: each with the (height, width) it wants; images of another size are resized for it.

    Raises:
        ConfigError: as ``build_losses``.
    """

    def __init__(self, terms: Mapping[str, Mapping[str, Any] | None],
                 teachers: Sequence[tuple[ReIDNetwork, tuple[int, int]]]) -> None:
        self.losses = build_distillation(terms)
        self.teachers = [(network.requires_grad_(False).eval(), size) for network, size in teachers]

    def __call__(self, student: Output, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum, and each loss unweighted and detached, for the record, as ``teacher_<name>``."""
        with torch.no_grad():
            taught = [network.outputs(_at(batch.images, size), modality=batch.modalities)
                      for network, size in self.teachers]
        terms = {name: torch.stack([loss(student, teacher) for teacher in taught]).mean()
                 for name, (_, loss) in self.losses.items()}
        total = reduce(add, (weight * terms[name] for name, (weight, _) in self.losses.items()))
        return total, {f"teacher_{name}": term.detach() for name, term in terms.items()}


def build_distillation(terms: Mapping[str, Mapping[str, Any] | None]) -> dict[str, tuple[float, nn.Module]]:
    """The losses that count, with their weights; errors as of ``build_losses``."""
    return build_losses(terms, key="distillation", known=DISTILLATIONS)


def _at(images: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(images.shape[2:]) == size:
        return images
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


def _rows(logits: Tensor) -> Tensor:
    return logits.flatten(0, -2)


def _positive(name: str, value: float) -> float:
    return number(name, value, lambda given: 0 < given < float("inf"), "must be positive")
