"""A candidate is scored with weights of its own, and leaves none behind."""

import pytest
import torch
from torch import nn

from nas_reid.nas.selection.adapted import Adapted
from nas_reid.search_space import Mix


class Scores:
    """Stands for a supernet: scores the product of its weight and the candidate's."""

    def __init__(self) -> None:
        self.network = nn.BatchNorm1d(1)

    def evaluate(self, mixes, share=1.0):
        if share < 0.5:
            raise RuntimeError("too few people")
        return float(self.network.weight.detach() * mixes["a"].weights.sum()) * share


def test_each_candidate_is_trained_from_the_same_weights():
    supernet = Scores()

    def train(mixes):
        supernet.network(torch.randn(4, 1))  # moves the statistics, too
        with torch.no_grad():
            supernet.network.weight += mixes["a"].weights.sum()

    adapted, before = Adapted(supernet, train), {name: value.clone() for name, value
                                                 in supernet.network.state_dict().items()}
    two, three = ({"a": Mix(torch.full((1, 1), value))} for value in (2.0, 3.0))
    assert [adapted.evaluate(two), adapted.evaluate(three), adapted.evaluate(two, 0.5)] == [6, 12, 3]
    with pytest.raises(RuntimeError, match="too few people"):
        adapted.evaluate(two, 0.1)
    after = supernet.network.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
