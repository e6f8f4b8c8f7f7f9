"""Drawing candidates that a bound admits, by drawing until one is."""

from collections.abc import Callable, Mapping

from torch import Generator, Tensor

from nas_reid.genotype import Genotype
from nas_reid.nas.bounds import Bounds, no_draw
from nas_reid.nas.candidates import uniform_probabilities
from nas_reid.search_space import SearchSpace

Draw = Callable[[Generator], Mapping[str, Tensor]]
_TRIES = 1000
_SHOWN = 20  # rejected genotypes that the error counts the cost of


def draw_admitted(space: SearchSpace, draw: Draw, generator: Generator, bounds: Bounds, *,
                  is_new: Callable[[Genotype], bool] = lambda _: True) -> Mapping[str, Tensor]:
    """The first of a thousand draws whose genotype is new and within ``bounds``.

    A space that holds few genotypes runs out of new ones: then the first within the bounds is returned again.

    Raises:
        ConfigError: none was within the bounds.
    """
    known: Mapping[str, Tensor] | None = None
    rejected: list[Genotype] = []
    for _ in range(_TRIES):
        probabilities = draw(generator)
        genotype = space.derive(probabilities)
        if known is not None and not is_new(genotype):
            continue
        if not bounds.admit(space, genotype):
            rejected = [*rejected, genotype][:_SHOWN]
        elif is_new(genotype):
            return probabilities
        else:
            known = probabilities
    if known is None:
        raise no_draw(space, bounds, rejected, tries=_TRIES)
    return known


def draw_uniform(space: SearchSpace, generator: Generator, bounds: Bounds) -> Genotype:
    """A genotype drawn uniformly among those within ``bounds``; errors as of ``draw_admitted``."""
    decisions = space.decisions()
    return space.derive(draw_admitted(space, lambda g: uniform_probabilities(decisions, g), generator, bounds))
