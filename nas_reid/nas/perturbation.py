"""Mixing weights that are moved a little while the weights train, so that the loss stays flat around the alphas.

SDARTS (Chen and Hsieh, 2020, arXiv 2002.05283): the weights solve min E L(w, A + δ) over uniform δ (random smoothing),
or min max L(w, A + δ) (adversarial), with δ in a box of half-width ε that grows over the epochs. A are the mixing
weights, not the logits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nas_reid.nas.temperature import linear
from nas_reid.parallel.tensors import average
from nas_reid.search_space import Mix

PERTURBATIONS = ("none", "random", "adversarial")


@dataclass(frozen=True)
class Perturbation:
    """How mixing weights are moved.

    Args:
        is_adversarial: to where the loss is high (SDARTS-ADV), else at random (SDARTS-RS).
        size: half-width ε of the box around the mixing weights in the first and in the last epoch, > 0.
        steps: of the projected gradient ascent, S >= 1; each is 2 ε / S long in every entry.
    """

    is_adversarial: bool
    size: tuple[float, float]
    steps: int

    def __call__(self, mixes: Mapping[str, Mix], loss: Callable[[Mapping[str, Mix]], Tensor], *, epoch: int,
                 epochs: int, generator: torch.Generator) -> dict[str, Mix]:
        """Moved mixing weights, without gradient; every row remains a distribution.

        Args:
            mixes: decision -> distributions [R, K], such as softmax gives.
            loss: of other mixing weights; called by the adversarial one only.
            epoch: in [0, epochs - 1].
            epochs: length of the search.
            generator: of the uniform noise, from which the ascent starts too; drawn in sorted order.
        """
        epsilon = linear(epoch, epochs, start=self.size[0], end=self.size[1])
        centres = {name: mixes[name].weights.detach() for name in sorted(mixes)}
        moved = {name: as_distribution(centre + epsilon * _uniform(centre, generator))
                 for name, centre in centres.items()}
        for _ in range(self.steps if self.is_adversarial else 0):
            leaves = {name: weights.requires_grad_() for name, weights in moved.items()}
            value = loss({name: replace(mixes[name], weights=leaf) for name, leaf in leaves.items()})
            slopes = average(torch.autograd.grad(value, list(leaves.values()), materialize_grads=True))
            moved = {name: ascend(leaf.detach(), slope, centre=centres[name], epsilon=epsilon, steps=self.steps)
                     for (name, leaf), slope in zip(leaves.items(), slopes, strict=True)}
        return {name: replace(mixes[name], weights=weights) for name, weights in moved.items()}


def build_perturbation(kind: str, *, size: Sequence[float], steps: int) -> Perturbation | None:
    """The perturbation of that name in ``PERTURBATIONS``; None for ``none``."""
    return None if kind == "none" else Perturbation(kind == "adversarial", (size[0], size[1]), steps)


def ascend(weights: Tensor, slope: Tensor, *, centre: Tensor, epsilon: float, steps: int) -> Tensor:
    """One step of projected gradient ascent in the maximum norm, 2 ε / steps long, back into the box and onto the
    distributions.

    Args:
        weights, slope: where it starts, and the loss's gradient there, [R, K].
        centre: of the box.
    """
    stepped = weights + 2 * epsilon / steps * slope.sign()
    return as_distribution(centre + (stepped - centre).clamp(-epsilon, epsilon))


def as_distribution(weights: Tensor) -> Tensor:
    """Entries cut to [0, 1] and divided by their sum, row by row; a row without one above 0 becomes its largest."""
    cut = weights.clamp(0, 1)
    total = cut.sum(-1, keepdim=True)
    largest = torch.zeros_like(cut).scatter_(-1, weights.argmax(-1, keepdim=True), 1.0)
    return torch.where(total > 0, cut / total.where(total > 0, torch.ones_like(total)), largest)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """In [-1, 1)."""
    drawn = torch.rand(like.shape, generator=generator, device=generator.device, dtype=like.dtype)
    return (2 * drawn - 1).to(like.device)
