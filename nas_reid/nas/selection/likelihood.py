"""What a search's own probabilities say of a genotype."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from nas_reid.search_space import Decision, Mix


def log_likelihood(decisions: Sequence[Decision], probabilities: Mapping[str, Tensor],
                   path: Mapping[str, Mix]) -> float:
    """Sum of the log probabilities of the choices that a genotype takes, in nats.

    What it leaves out does not count: rows of zeros, and ``none`` beside other ops.

    Args:
        decisions: of the space.
        probabilities: decision -> [R, K], of the search.
        path: the genotype's own mixing weights, of ``path_of``.
    """
    total = 0.0
    for decision in decisions:
        taken = path[decision.name].weights.double().cpu()
        taken = taken * taken.new_tensor([column not in decision.excluded for column in range(len(decision.choices))])
        total += float((taken * probabilities[decision.name].double().cpu().clamp_min(1e-12).log()).sum())
    return total
