"""What every loss is: a module from a batch of plain tensors to a scalar, with a statement of what it needs."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nas_reid.errors import ConfigError


class LossInput(NamedTuple):
    """What a loss sees of a batch.

    Attributes:
        features: [B, D], before the neck.
        logits: [B, N] over the training identities; cosines if the classifier is ``cosine``.
        labels: int64 [B], 0..N-1.
        modalities: int64 [B], 0 visible, 1 infrared; None where the caller knows of none.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor
    modalities: Tensor | None = None


class Loss(nn.Module):
    """A loss; the arguments of its constructor are those of the configuration. ``forward`` changes no state.

    Attributes:
        compares_samples: it relates the images of a batch to each other, and hence sees the batch of all processes.
        needs_pairs: every identity of a batch must have at least two images.
        needs_cosines: it needs the logits of a ``cosine`` classifier.
        needs_modalities: the identities of a batch must have visible and infrared images.
        learns_identities: what it compares with is learnt per identity, so identities that never occur in a step of
            the weights make no sense to it.
        remembers: it has state that ``update`` changes.
        has_constant_factors: its gradient holds factors constant that do depend on the input, so that differentiating
            it again does not give the derivative of the gradient.
    """

    compares_samples: ClassVar[bool] = False
    needs_pairs: ClassVar[bool] = False
    needs_cosines: ClassVar[bool] = False
    needs_modalities: ClassVar[bool] = False
    learns_identities: ClassVar[bool] = False
    remembers: ClassVar[bool] = False
    has_constant_factors: bool = False

    def allocate(self, num_classes: int, width: int) -> None:
        """Create the state that depends on the number of training identities and on the features' width D."""

    def forward(self, batch: LossInput) -> Tensor:
        """The loss, a scalar in at least float32, as a mean over the images it applies to."""
        raise NotImplementedError

    def update(self, batch: LossInput) -> None:
        """Change what the loss remembers of the training; called when the gradient of a batch has been taken."""


def number(name: str, value: Any, holds: Callable[[float], bool], rule: str) -> float:
    """A number of the configuration.

    Raises:
        ConfigError: not a number, or ``holds`` is false for it; the message is name, value and rule.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not holds(value):
        raise ConfigError(f"{name}={value} {rule}")
    return value


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor, in float32 if it was of half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
