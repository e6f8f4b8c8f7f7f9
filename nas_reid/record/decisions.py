"""The decisions of a space as pictures and pages show them."""

from torch import Tensor

from nas_reid.drawing.decisions import DrawnDecision
from nas_reid.genotype import Genotype
from nas_reid.search_space import Decision, OffersOneHot, SearchSpace


def drawn_decisions(space: SearchSpace, genotype: Genotype | None = None) -> dict[str, DrawnDecision]:
    """Name -> decision with its names; with what the genotype chose, where the space can read one back.

    Args:
        space: of the decisions.
        genotype: of the space.
    """
    taken = space.one_hot(genotype) if genotype is not None and isinstance(space, OffersOneHot) else {}
    return {decision.name: _drawn(decision, taken.get(decision.name)) for decision in space.decisions()}


def _drawn(decision: Decision, taken: Tensor | None) -> DrawnDecision:
    chosen = None if taken is None else tuple(
        -1 if column in decision.excluded or not worth else column
        for worth, column in zip(*(each.tolist() for each in taken.max(1)), strict=True))
    return DrawnDecision(tuple(choice.name for choice in decision.choices),
                         decision.row_names or tuple(map(str, range(decision.rows))), decision.excluded, chosen)
