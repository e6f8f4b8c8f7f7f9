"""Training the paths of a supernet, one by lot a step: single path one-shot (SPOS)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from nas_reid.errors import ConfigError
from nas_reid.nas.candidates import balanced_probabilities, uniform_probabilities
from nas_reid.nas.path import path_of
from nas_reid.nas.relaxation import Relaxation, get_relaxation, require_gates
from nas_reid.search_space import Decision, Mix, SearchSpace

Draw = Callable[[Sequence[Decision], Generator], Mapping[str, Tensor]]

LOTS: Mapping[str, Draw] = {"uniform_paths": uniform_probabilities, "balanced_paths": balanced_probabilities}
"""What a relaxation by lot is called -> how it draws."""


def relaxation_of(name: str, space: SearchSpace) -> "Relaxation | Paths":
    """The relaxation of that name for a space; errors as of ``get_relaxation`` and ``require_gates``."""
    if name in LOTS:
        return Paths(space, LOTS[name])
    require_gates(name, space.decisions())
    return get_relaxation(name)


@dataclass(frozen=True)
class Paths:
    """Mixing weights that run one genotype by lot, whatever the alphas are (Guo et al., 2020, section 3.2).

    A drawn path is that of a genotype which the space would derive, so that the supernet is trained on what is later
    chosen among. Stands where a ``Relaxation`` does.

    Args:
        space: that the paths belong to.
        draw: a value of ``LOTS``.
    """

    space: SearchSpace
    draw: Draw = uniform_probabilities
    sampled_only: bool = True
    sums_to_one: bool = True

    def __call__(self, alphas: Mapping[str, Tensor], *, temperature: float | Tensor,
                 generator: Generator | None) -> dict[str, Mix]:
        """One path; ``temperature`` and the values of the ``alphas`` are ignored.

        Raises:
            ConfigError: ``generator`` is None.
        """
        if generator is None:
            raise ConfigError("paths are drawn by lot and were given no generator; pass a torch.Generator")
        return self._path(generator.initial_seed(), like=next(iter(alphas.values())))

    def probabilities(self, alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Softmax of the alphas, which do not move: nothing is decided before a path is chosen."""
        return {name: alphas[name].softmax(-1) for name in sorted(alphas)}

    def evaluation_mixes(self, alphas: Mapping[str, Tensor]) -> dict[str, Mix]:
        """One path, always the same, by which the training's progress can be seen."""
        return self._path(0, like=next(iter(alphas.values())))

    def _path(self, seed: int, *, like: Tensor) -> dict[str, Mix]:
        drawn = self.draw(self.space.decisions(), torch.Generator().manual_seed(seed))
        return path_of(self.space, self.space.derive(drawn), drawn, device=like.device)
