"""Signs that a search has collapsed into ``none`` or ``skip``, and the limits at which it stops."""

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.nas.regularisers import entropy, none_share, offers, skip_count
from nas_reid.search_space import Decision, OffersOpParameters, SearchSpace

log = logging.getLogger(__name__)


class Limits(Protocol):
    """What a search stops above, as the configuration of its algorithm has it; None: never.

    Attributes:
        stop_skips: rows of a decision in which, ``none`` apart, a choice tagged ``skip`` is the likeliest.
        stop_none: share of all rows in which a choice tagged ``none`` is.
        stop_ops: below this agreement of its gradients an op is trained no further; see ``operation_stopping``.
    """

    stop_skips: int | None
    stop_none: float | None
    stop_ops: float | None


class Plan(Limits, Protocol):
    """Limits, and when the alphas move: not in the first ``warmup_epochs``, nor with the scheme ``one_shot``."""

    warmup_epochs: int
    scheme: str


def look_ahead(plan: Plan, space: SearchSpace, *, epochs: int) -> None:
    """Refuse limits that nothing in the space can exceed, and say so if the alphas will never move."""
    require_limits_that_can_stop(plan, space)
    if plan.warmup_epochs >= epochs and plan.scheme != "one_shot":
        log.warning("algorithm.warmup_epochs=%d leaves none of epochs=%d to the alphas: the genotype will be that of "
                    "their initial values, whatever is learnt", plan.warmup_epochs, epochs)


def require_limits_that_can_stop(limits: Limits, space: SearchSpace) -> None:
    """Refuse a limit that no alphas of the space exceed: it would never stop anything, and say nothing.

    Raises:
        ConfigError: no choice has the tag that a limit counts, or the limit is no smaller than the largest count; or
            no choice has weights of its own, which could be stopped.
    """
    decisions = space.decisions()
    rows = [decision.rows for decision in decisions if offers("skip", [decision])]
    if limits.stop_skips is not None and limits.stop_skips >= max(rows, default=0):
        raise ConfigError(f"algorithm.stop_skips={limits.stop_skips} never stops this search: "
                          + (f"a decision has at most {max(rows)} rows that can be skip; give less" if rows else
                             "no choice of its space is tagged skip; leave it out (null)"))
    if limits.stop_none is not None and not offers("none", decisions):
        raise ConfigError(f"algorithm.stop_none={limits.stop_none} never stops this search: no choice of its space is "
                          "tagged none; leave it out (null)")
    if limits.stop_ops is not None and not (isinstance(space, OffersOpParameters) and space.op_parameters()):
        raise ConfigError(f"algorithm.stop_ops={limits.stop_ops} stops nothing: {space.name} names no weights that "
                          "belong to a choice alone (op_parameters in docs/your_own_space.md); leave it out (null)")


def signs_of_collapse(decisions: Sequence[Decision], probabilities: Mapping[str, Tensor], *,
                      sums_to_one: bool) -> dict[str, float]:
    """How decided the alphas are, and how far ``none`` and ``skip`` have taken over where the space has them."""
    signs = {"search/alpha_entropy": entropy(probabilities, sums_to_one=sums_to_one).item()}
    if offers("none", decisions):
        signs["search/none_share"] = none_share(probabilities, decisions)
    if offers("skip", decisions):
        signs["search/most_skips"] = max(skip_count(probabilities, decisions).values())
    return signs


def has_collapsed(signs: Mapping[str, float], limits: Limits) -> bool:
    """Whether a limit on skips or on ``none`` is exceeded."""
    return ((limits.stop_skips is not None and signs.get("search/most_skips", 0) > limits.stop_skips)
            or (limits.stop_none is not None and signs.get("search/none_share", 0) > limits.stop_none))
