"""A genotype's likelihood by hand."""

from math import log

import pytest
import torch

from nas_reid.nas.selection.likelihood import log_likelihood
from nas_reid.search_space import Choice, Decision, Mix

NONE = Choice("none", frozenset({"none"}))


def test_none_beside_other_ops_and_rows_of_zeros_do_not_count() -> None:
    decisions = [Decision("ops", 3, (NONE, Choice("a"), Choice("b"))), Decision("keep", 1, (NONE, Choice("keep")))]
    probabilities = {"ops": torch.tensor([[0.5, 0.2, 0.3], [0.9, 0.05, 0.05], [0.1, 0.8, 0.1]]),
                     "keep": torch.tensor([[0.25, 0.75]])}
    path = {"ops": Mix(torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 0, 0]])), "keep": Mix(torch.tensor([[1.0, 0]]))}
    assert log_likelihood(decisions, probabilities, path) == pytest.approx(log(0.3) + log(0.25), rel=1e-6)


def test_choices_taken_in_parts_count_in_parts() -> None:
    probabilities = {"edges": torch.tensor([[0.5, 0.3, 0.2]])}
    path = {"edges": Mix(torch.tensor([[0.5, 0.5, 0]]))}
    found = log_likelihood([Decision("edges", 1, tuple(map(Choice, "abc")))], probabilities, path)
    assert found == pytest.approx((log(0.5) + log(0.3)) / 2, rel=1e-6)
