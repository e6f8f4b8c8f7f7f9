"""When a search is told to stop, and which limits could never tell it."""

import math
from types import SimpleNamespace

import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.nas.collapse import has_collapsed, require_limits_that_can_stop, signs_of_collapse
from nas_reid.search_space import Choice, Decision
from tests.toy_space import ToySpace

NONE, SKIP = Choice("none", frozenset({"none"})), Choice("skip", frozenset({"skip"}))
GATE = Decision("gate", 3, (Choice("off"), Choice("on")))
DECISIONS = (Decision("cell", 2, (NONE, SKIP, Choice("conv"))), GATE)


def limited(*, stop_skips: int | None = None, stop_none: float | None = None,
            stop_ops: float | None = None) -> SimpleNamespace:
    return SimpleNamespace(stop_skips=stop_skips, stop_none=stop_none, stop_ops=stop_ops)


def space_of(decisions: tuple[Decision, ...]) -> SimpleNamespace:
    return SimpleNamespace(name="toy", decisions=lambda: decisions)


@pytest.mark.parametrize(("limits", "stops"), [
    ({}, False), ({"stop_skips": 1}, False), ({"stop_skips": 0}, True), ({"stop_none": 0.5}, False),
    ({"stop_none": 0.49}, True), ({"stop_skips": 5, "stop_none": 0.0}, True),
    ({"stop_skips": 0, "stop_none": 1.0}, True),
])
def test_a_search_stops_above_a_limit_and_not_at_it(limits: dict, stops: bool) -> None:
    """Of two rows one has ``none``, the other ``skip`` for its likeliest choice; ``none`` apart, one has ``skip``."""
    probabilities = {"path": torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]])}
    signs = signs_of_collapse(ToySpace().decisions(), probabilities, sums_to_one=True)
    assert signs["search/most_skips"] == 1 and signs["search/none_share"] == 0.5
    assert has_collapsed(signs, limited(**limits)) == stops


def test_signs_are_recorded_where_the_space_can_show_them() -> None:
    probabilities = {"cell": torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]), "gate": torch.full((3, 2), 0.5)}
    everything = signs_of_collapse(DECISIONS, probabilities, sums_to_one=True)
    assert everything == {"search/alpha_entropy": pytest.approx(0.80141, abs=1e-5), "search/none_share": 0.5,
                          "search/most_skips": 1}
    signs = signs_of_collapse((GATE,), {"gate": torch.full((3, 2), 0.5)}, sums_to_one=False)
    assert signs == {"search/alpha_entropy": pytest.approx(math.log(2))}
    assert not has_collapsed(signs, limited(stop_skips=0, stop_none=0.0))


@pytest.mark.parametrize(("limits", "decisions", "message"), [
    ({"stop_skips": 0}, (GATE,), r"stop_skips=0 never stops .* no choice of its space is tagged skip; leave it out"),
    ({"stop_skips": 2}, DECISIONS, "stop_skips=2 never stops .* at most 2 rows that can be skip; give less"),
    ({"stop_none": 0.0}, (GATE,), r"stop_none=0\.0 never stops .* no choice of its space is tagged none; leave it out"),
    ({"stop_ops": 0.4}, DECISIONS, r"stop_ops=0\.4 stops nothing: toy names no weights that belong to a choice alone"),
])
def test_a_limit_that_nothing_exceeds_is_refused(limits: dict, decisions: tuple[Decision, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=f"algorithm.{message}"):
        require_limits_that_can_stop(limited(**limits), space_of(decisions))


def test_other_limits_are_not() -> None:
    require_limits_that_can_stop(limited(stop_skips=1, stop_none=0.5), space_of(DECISIONS))
    require_limits_that_can_stop(limited(), space_of((GATE,)))
