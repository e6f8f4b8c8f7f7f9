"""Drawing candidates that a bound admits, by drawing until one is."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Generator, Tensor

from nas_reid.genotype import Genotype
from nas_reid.nas.bounds import Bounds, no_draw
from nas_reid.nas.candidates import uniform_probabilities
from nas_reid.search_space import SearchSpace

Draw = Callable[[Generator], Mapping[str, Tensor]]
_TRIES = 1000
_SHOWN = 20  # rejected genotypes that the error counts the cost of


class Drawn(NamedTuple):
    """Probabilities, decision -> [R, K], and the genotype that the space derives from them."""

    probabilities: Mapping[str, Tensor]
    genotype: Genotype

    @staticmethod
    def of(space: SearchSpace, probabilities: Mapping[str, Tensor]) -> "Drawn":
        """The probabilities with what the space derives from them."""
        return Drawn(probabilities, space.derive(probabilities))


def draw_admitted(space: SearchSpace, draw: Draw, generator: Generator, bounds: Bounds, *,
                  is_new: Callable[[Genotype], bool] = lambda _: True) -> Drawn:
    """The first of a thousand draws whose genotype is new and within ``bounds``.

    A space that holds few genotypes runs out of new ones: then the first within the bounds is returned again.

    Raises:
        ConfigError: none was within the bounds.
    """
    known: Drawn | None = None
    rejected: list[Drawn] = []
    for _ in range(_TRIES):
        drawn = Drawn.of(space, draw(generator))
        if known is not None and not is_new(drawn.genotype):
            continue
        if not bounds.admit(space, drawn.genotype, drawn.probabilities):
            rejected = [*rejected, drawn][:_SHOWN]
        elif is_new(drawn.genotype):
            return drawn
        else:
            known = drawn
    if known is None:
        raise no_draw(space, bounds, rejected, tries=_TRIES)
    return known


def draw_uniform(space: SearchSpace, generator: Generator, bounds: Bounds) -> Genotype:
    """A genotype drawn uniformly among those within ``bounds``; errors as of ``draw_admitted``."""
    decisions = space.decisions()
    return draw_admitted(space, lambda g: uniform_probabilities(decisions, g), generator, bounds).genotype
