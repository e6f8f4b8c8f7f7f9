"""The objective of a training: losses by name and their weighted sum.

A new loss is a file with a class (see ``nas_reid.losses.loss``) and a line in ``LOSSES``.
"""

import inspect
from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn

from nas_reid.errors import ConfigError
from nas_reid.losses.center import Center
from nas_reid.losses.cross_entropy import CrossEntropy
from nas_reid.losses.gather import gather_batch
from nas_reid.losses.loss import Loss, LossInput, number
from nas_reid.losses.margin_softmax import ArcFace, Circle, CosFace
from nas_reid.losses.modality_centers import CrossModality, HeteroCenter
from nas_reid.losses.pairs import CirclePairs, CosFacePairs
from nas_reid.losses.triplet import Triplet
from nas_reid.losses.weighted_triplet import WeightedTriplet
from nas_reid.modules.head import Head, StripeHead
from nas_reid.modules.typed_lists import ModuleDictOf, ModuleListOf
from nas_reid.network.model import Output

LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "triplet": Triplet,
    "weighted_triplet": WeightedTriplet,
    "arcface": ArcFace,
    "cosface": CosFace,
    "circle": Circle,
    "circle_pairs": CirclePairs,
    "cosface_pairs": CosFacePairs,
    "center": Center,
    "cross_modality": CrossModality,
    "hetero_center": HeteroCenter,
}


class Objective(nn.Module):
    """Weighted sum of losses (Auto-ReID's Eq. 5 is λ · cross-entropy + (1 - λ) · triplet).

    A loss of weight zero is not computed. Calling the objective changes nothing; what a loss remembers of the training
    (centres) changes in ``update`` alone and is part of the ``state_dict``. Under several processes losses that compare
    images see the batch of all of them.

    Args:
        terms: key of ``LOSSES`` -> arguments of that loss, and ``weight`` (default 1); None leaves it out.
        num_classes: training identities, N.
        width: of the features, D; of a stripe's, if the head has stripes.
        stripes: of the head, S. Each loss sees every stripe by itself, and the mean over the stripes counts.

    Raises:
        ConfigError: as ``build_losses``.
    """

    def __init__(self, terms: Mapping[str, Mapping[str, Any] | None], *, num_classes: int, width: int,
                 stripes: int = 1) -> None:
        super().__init__()
        self.weights = {name: weight for name, (weight, _) in build_losses(terms).items()}
        built = [build_losses(terms) for _ in range(stripes)]
        self.losses: ModuleDictOf[ModuleListOf[Loss]] = ModuleDictOf(
            {name: ModuleListOf([losses[name][1] for losses in built]) for name in self.weights})
        for stripe_losses in self.losses.values():
            for loss in stripe_losses:
                loss.allocate(num_classes, width)

    def forward(self, output: Output, labels: Tensor,
                modalities: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective, and each of its losses unweighted and detached, for the record.

        Args:
            output: of the network: features [B, D] and logits [B, N], or [B, S, D] and [B, S, N].
            labels: int64 [B].
            modalities: int64 [B], 0 visible, 1 infrared.
        """
        terms = {}
        for name, stripe_losses in self.losses.items():
            values = []
            for stripe, loss in enumerate(stripe_losses):
                batch = self._input(output, stripe, labels, modalities)
                values.append(loss(gather_batch(batch) if loss.compares_samples else batch))
            terms[name] = torch.stack(values).mean() if len(values) > 1 else values[0]
        total = reduce(add, (self.weights[name] * term for name, term in terms.items()))
        return total, {name: term.detach() for name, term in terms.items()}

    @torch.no_grad()
    def update(self, output: Output, labels: Tensor, modalities: Tensor | None = None) -> None:
        """Let the losses remember a batch; call it once per batch of the weights, when its gradient has been taken."""
        for stripe_losses in self.losses.values():
            for stripe, loss in enumerate(stripe_losses) if stripe_losses[0].remembers else ():
                loss.update(gather_batch(self._input(output, stripe, labels, modalities)))

    def _input(self, output: Output, stripe: int, labels: Tensor, modalities: Tensor | None) -> LossInput:
        features, logits = output if output.logits.ndim == 2 else (values[:, stripe] for values in output)
        if modalities is not None:
            modalities = modalities.to(labels.device, non_blocking=True)
        return LossInput(features, logits, labels, modalities)


def build_objective(terms: Mapping[str, Mapping[str, Any] | None], head: Head | StripeHead) -> Objective:
    """The ``Objective`` of a network that ends in ``head``, on its device."""
    objective = Objective(terms, num_classes=head.num_classes, width=head.out_features // head.stripes,
                          stripes=head.stripes)
    return objective.to(next(head.parameters()).device)


def build_losses(terms: Mapping[str, Mapping[str, Any] | None], *, key: str = "objective",
                 known: Mapping[str, type[nn.Module]] = LOSSES) -> dict[str, tuple[float, Any]]:
    """The losses that count: name -> (weight, loss). Those of weight zero are checked and left out.

    Args:
        terms: see ``Objective``.
        key: of ``terms`` in the configuration, for messages.
        known: the losses there are.

    Raises:
        ConfigError: an unknown loss or argument (the known ones are listed), a value out of range, or no loss at all.
    """
    if not isinstance(terms, Mapping):
        raise ConfigError(f"{key}={terms} must map losses to their arguments, such as {{triplet: {{margin: 0.3}}}}")
    found = {}
    for name, arguments in terms.items():
        if name not in known:
            raise ConfigError(f"{key}.{name} is no loss; known are: {', '.join(known)}")
        if arguments is None:
            continue
        weight, loss = _build(f"{key}.{name}", known[name], arguments)
        if weight:
            found[name] = (weight, loss)
    if not found:
        raise ConfigError(f"{key} has no loss with a weight above 0; give one, such as "
                          f"{key}.{next(iter(known))}.weight=1")
    return found


def _build(key: str, kind: type[nn.Module], arguments: Mapping[str, Any]) -> tuple[float, nn.Module]:
    known = ["weight", *list(inspect.signature(kind.__init__).parameters)[1:]]
    if not isinstance(arguments, Mapping):
        raise ConfigError(f"{key}={arguments} must hold arguments, such as {{weight: 1}}; known are: "
                          f"{', '.join(known)}")
    if unknown := [name for name in arguments if name not in known]:
        raise ConfigError(f"{key} has no argument {', '.join(map(str, unknown))}; it has: {', '.join(known)}")
    try:
        weight = number("weight", arguments.get("weight", 1.0), lambda value: 0 <= value < float("inf"),
                        "must be finite and >= 0; 0 leaves the loss out")
        return weight, kind(**{name: value for name, value in arguments.items() if name != "weight"})
    except ConfigError as error:
        raise ConfigError(f"{key}.{error}") from None
