"""Ways to choose among the genotypes of a trained supernet. Each looks at ``candidates`` genotypes; every one that it
scores on all validation people is in ``judge.seen``."""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Generator, Tensor

from nas_reid.errors import ConfigError
from nas_reid.nas.candidates import mutated, sampled_probabilities, uniform_probabilities
from nas_reid.nas.lots import Drawn, draw_admitted
from nas_reid.nas.selection.judge import Candidate, Judge


def random_search(judge: Judge, generator: Generator, *, candidates: int) -> None:
    """Score genotypes drawn uniformly: random search with weight sharing (Li and Talwalkar, 2019)."""
    decisions = judge.space.decisions()
    for _ in range(candidates):
        judge.draw(lambda g: uniform_probabilities(decisions, g), generator)


def sampling(judge: Judge, generator: Generator, *, candidates: int, probabilities: Mapping[str, Tensor]) -> None:
    """Score genotypes drawn from a search's final ``probabilities``, its own argmax first."""
    judge.score(Drawn.of(judge.space, probabilities))
    for _ in range(candidates - 1):
        judge.draw(lambda g: sampled_probabilities(probabilities, g), generator)


def evolution(judge: Judge, generator: Generator, *, candidates: int, population: int, tournament: int,
              rows: int) -> None:
    """Regularised evolution (Real et al., 2019, Algorithm 1): the oldest dies, the best of a tournament has a child.

    Args:
        judge: scores.
        generator: of every draw.
        candidates: genotypes to score, ``population`` included.
        population: P, drawn uniformly.
        tournament: S, members drawn without replacement, of which the best is the parent.
        rows: that a mutation draws anew.

    Raises:
        ConfigError: fewer candidates than the population, or a larger tournament.
    """
    if not 1 <= tournament <= population <= candidates:
        raise ConfigError(f"evolution of {candidates} candidates with population={population} and "
                          f"tournament={tournament}: expected 1 <= tournament <= population <= candidates")
    decisions = judge.space.decisions()
    living: deque[Candidate] = deque()
    for _ in range(population):
        living.append(judge.draw(lambda g: uniform_probabilities(decisions, g), generator))
    for _ in range(candidates - population):
        order = torch.randperm(population, generator=generator)[:tournament].tolist()
        parent = max((living[member] for member in order), key=lambda candidate: candidate.mAP)
        living.append(judge.draw(partial(mutated, parent.probabilities, rows=rows), generator))
        living.popleft()


def halving(judge: Judge, generator: Generator, *, candidates: int, rounds: int) -> None:
    """Successive halving (Jamieson and Talwalkar, 2016): all on few validation people, half of them on twice as many.

    Args:
        judge: scores.
        generator: of the uniform draws.
        candidates: in the first round.
        rounds: R; round r of 0 to R - 1 sees a share of 2^(r + 1 - R) of the people.

    Raises:
        ConfigError: fewer than 2^(R - 1) candidates, of which the last round would have none.
    """
    if rounds < 1 or candidates < 2 ** (rounds - 1):
        raise ConfigError(f"halving {candidates} candidates in {rounds} rounds leaves none for the last; it needs "
                          f"rounds >= 1 and at least 2^(rounds - 1) = {2 ** max(0, rounds - 1)} candidates")
    decisions = judge.space.decisions()
    alive = [draw_admitted(judge.space, lambda g: uniform_probabilities(decisions, g), generator, judge.bounds)
             for _ in range(candidates)]
    for position in range(rounds):
        scored = [judge.score(each, share=2.0 ** (position + 1 - rounds)) for each in alive]
        scored.sort(key=lambda candidate: -candidate.mAP)
        alive = [Drawn(candidate.probabilities, candidate.genotype) for candidate in scored[:max(1, len(scored) // 2)]]


METHODS: dict[str, Callable[..., None]] = {
    "random": random_search, "evolution": evolution, "halving": halving, "sampling": sampling,
}
