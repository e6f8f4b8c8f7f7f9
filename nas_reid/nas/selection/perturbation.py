"""Deriving by what a choice is worth, not by its alpha: perturbation-based selection (DARTS-PT)."""

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

from nas_reid.errors import ConfigError
from nas_reid.search_space import Mix

_MOST_LOOKS = 20_000  # evaluations of the supernet beyond which nobody waits


def perturbation(evaluate: Callable[[Mapping[str, Mix]], float], probabilities: Mapping[str, Tensor],
                 generator: Generator, *, tune: Callable[[Mapping[str, Mix]], None], every: int) -> dict[str, Tensor]:
    """Decide row by row: of each row the choice without which the supernet's validation suffers most.

    Wang et al., "Rethinking Architecture Selection in Differentiable NAS" (2021), Algorithm 1: rows in random order; a
    choice is taken out by a mixing weight of 0, the others keep theirs; a decided row stays one-hot. Which edges of a
    node are kept is read off the same way: how much the validation suffers without the whole row.

    Args:
        evaluate: mixing weights -> validation mAP of the supernet.
        probabilities: the search's final ones, decision -> [R, K]: the mixing weights of rows that are not yet decided.
        generator: of the order.
        tune: trains the supernet's weights a little under mixing weights; called after every ``every`` decided rows.
        every: see ``tune``; 0: never.

    Returns:
        Probabilities to derive from: each row's chosen one has 1/2 to 1, the more the more the row is worth.

    Raises:
        ConfigError: the rows are too many to be looked at one by one.
    """
    looks = sum(table.numel() + len(table) for table in probabilities.values())
    if looks > _MOST_LOOKS:
        raise ConfigError(f"method=perturbation looks at the supernet {looks:,} times in this space, once for "
                          "each choice of each row; choose evolution, sampling or random")
    weights = {name: table.detach().float().clone() for name, table in sorted(probabilities.items())}
    rows = [(name, row) for name, table in weights.items() for row in range(len(table))]
    for count, place in enumerate(torch.randperm(len(rows), generator=generator).tolist(), start=1):
        name, row = rows[place]
        without = [_score(evaluate, weights, name, row, choice) for choice in range(weights[name].shape[1])]
        chosen = min(range(len(without)), key=without.__getitem__)
        weights[name][row] = torch.nn.functional.one_hot(torch.tensor(chosen), len(without)).float()
        if every and count % every == 0:
            tune({key: Mix(table.clone()) for key, table in weights.items()})
    missed = {(name, row): -_score(evaluate, weights, name, row, None) for name, row in rows}
    ranked = {place: rank for rank, place in enumerate(sorted(rows, key=missed.__getitem__))}
    return {name: torch.stack([_decided(weights[name][row], 0.5 + 0.5 * (ranked[name, row] + 1) / (len(rows) + 1))
                               for row in range(len(weights[name]))]) for name in weights}


def _score(evaluate: Callable[[Mapping[str, Mix]], float], weights: Mapping[str, Tensor], name: str, row: int,
           choice: int | None) -> float:
    """Validation mAP without a choice, or without the whole row."""
    table = weights[name].clone()
    if choice is None:
        table[row] = 0
    else:
        table[row, choice] = 0
    return evaluate({**{key: Mix(value) for key, value in weights.items()}, name: Mix(table)})


def _decided(row: Tensor, probability: float) -> Tensor:
    rest = (1 - probability) / max(1, len(row) - 1)
    return torch.where(row > 0.5, probability, rest).double()
