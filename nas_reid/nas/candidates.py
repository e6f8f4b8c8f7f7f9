"""Genotypes by lot: drawn uniformly, drawn from what a search says, and changed a little.

A candidate is drawn as probabilities, decision -> [R, K], and read by the space's own ``derive``: whatever the rule
is (two inputs per node, the likeliest share of the channels), candidates are genotypes that a search could give.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from nas_reid.search_space import Decision

Probabilities = Mapping[str, Tensor]


def uniform_probabilities(decisions: Sequence[Decision], generator: Generator) -> dict[str, Tensor]:
    """Every row uniform on the simplex, that is Dirichlet with all concentrations 1, float64 [R, K] on the CPU.

    All choices of a row, and all rows, are alike: each choice is equally likely to be a row's likeliest, each row to
    be the most decided of a group. One-hot rows would not do: rules that compare rows would meet ties.
    """
    return {decision.name: _flat(decision.rows, len(decision.choices), generator)
            for decision in sorted(decisions, key=lambda decision: decision.name)}


def balanced_probabilities(decisions: Sequence[Decision], generator: Generator) -> dict[str, Tensor]:
    """As ``uniform_probabilities``, but how much is dear is drawn first, so that genotypes of any cost are as frequent.

    With K choices a genotype by lot takes the cheapest one in about 1/K of its rows, and one that takes it nearly
    everywhere is next to never drawn. Here a share t is uniform in [0, 1], and each row takes its cheapest choice with
    probability t, else any other, all alike: of R rows any number from 0 to R is as likely to be cheap. The cost before
    the architecture, as AttentiveNAS draws paths (Wang et al., CVPR 2021), for the costs that a space
    declares. A decision whose choices all cost the same stays uniform.
    """
    drawn = uniform_probabilities(decisions, generator)
    share = torch.rand((), generator=generator, dtype=torch.float64)
    for decision in sorted(decisions, key=lambda decision: decision.name):
        rows, cheap = drawn[decision.name], torch.rand(decision.rows, generator=generator, dtype=torch.float64) < share
        taken = torch.tensor([column not in decision.excluded for column in range(len(decision.choices))])
        cost = torch.tensor([choice.cost for choice in decision.choices], dtype=torch.float64)
        cheapest = taken & (cost == cost[taken].min())
        if torch.equal(cheapest, taken):
            continue
        wanted = torch.where(cheap[:, None], cheapest, taken & ~cheapest)
        place, likeliest = rows.where(wanted, 0).argmax(1, keepdim=True), rows.where(taken, 0).argmax(1, keepdim=True)
        first, second = rows.gather(1, likeliest), rows.gather(1, place)
        rows.scatter_(1, likeliest, second).scatter_(1, place, first)
    return drawn


def sampled_probabilities(probabilities: Probabilities, generator: Generator) -> dict[str, Tensor]:
    """Rows whose likeliest choice is distributed as the given ``probabilities`` say: softmax(log p + Gumbel noise).

    The Gumbel-max trick (Gumbel, 1954). Rows need not sum to 1; a choice of probability 0 is never the likeliest.
    """
    drawn = {}
    for name in sorted(probabilities):
        weights = probabilities[name].detach().double().cpu()
        exponential = -torch.rand(weights.shape, generator=generator, dtype=torch.float64).clamp_min(1e-300).log()
        ratio = weights / exponential                        # argmax of p / Exp(1) is argmax of log p + Gumbel
        drawn[name] = ratio / ratio.sum(-1, keepdim=True)
    return drawn


def mutated(probabilities: Probabilities, generator: Generator, *, rows: int = 1) -> dict[str, Tensor]:
    """A copy in which ``rows`` rows, chosen uniformly among all rows of all decisions, are drawn anew."""
    changed = {name: probabilities[name].clone() for name in sorted(probabilities)}
    places = [(name, row) for name, table in changed.items() for row in range(len(table))]
    for place in torch.randperm(len(places), generator=generator)[:rows].tolist():
        name, row = places[place]
        changed[name][row] = _flat(1, changed[name].shape[1], generator)[0]
    return changed


def _flat(rows: int, choices: int, generator: Generator) -> Tensor:
    exponential = -torch.rand(rows, choices, generator=generator, dtype=torch.float64).clamp_min(1e-300).log()
    return exponential / exponential.sum(-1, keepdim=True)
