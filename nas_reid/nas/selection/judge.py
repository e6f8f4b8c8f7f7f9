"""What a candidate is worth on a trained supernet: validation mAP with the candidate's own ops alone."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Generator, Tensor

from nas_reid.genotype import Genotype
from nas_reid.nas.bounds import Bounds
from nas_reid.nas.lots import Draw, Drawn, draw_admitted
from nas_reid.nas.path import path_of
from nas_reid.search_space import Mix, SearchSpace

Mixes = Mapping[str, Mix]


@dataclass(frozen=True)
class Candidate:
    """A genotype that was looked at.

    Attributes:
        probabilities: decision -> [R, K], from which the space derived it.
        genotype: what it derived.
        mAP: validation mAP on the supernet, in [0, 1].
    """

    probabilities: Mapping[str, Tensor]
    genotype: Genotype
    mAP: float


@dataclass
class Judge:
    """Scores candidates, each genotype once.

    Args:
        space: that the candidates belong to.
        evaluate: (mixing weights, share of the validation people in (0, 1]) -> mAP.
        bounds: what a candidate may cost.
        watch: called after each look that took time, for a progress bar.

    ``seen`` holds every candidate that was scored on all validation people, in order.
    """

    space: SearchSpace
    evaluate: Callable[[Mixes, float], float]
    bounds: Bounds
    watch: Callable[[], object] = lambda: None
    seen: list[Candidate] = field(default_factory=list)
    _scores: dict[tuple[str, float], float] = field(default_factory=dict)

    def score(self, drawn: Drawn, *, share: float = 1.0) -> Candidate:
        """Look at a candidate on a share of the validation people; a genotype seen before costs nothing."""
        probabilities, genotype = drawn
        key = _key(genotype), share
        if key not in self._scores:
            self._scores[key] = self.evaluate(path_of(self.space, genotype, probabilities), share)
            self.watch()
            if share == 1.0:
                self.seen.append(Candidate(probabilities, genotype, self._scores[key]))
        return Candidate(probabilities, genotype, self._scores[key])

    def draw(self, draw: Draw, generator: Generator) -> Candidate:
        """Score the first draw within the bounds that was not scored before; see ``draw_admitted``."""
        return self.score(draw_admitted(self.space, draw, generator, self.bounds,
                                        is_new=lambda genotype: (_key(genotype), 1.0) not in self._scores))


def _key(genotype: Genotype) -> str:
    return json.dumps(genotype.body, sort_keys=True)
