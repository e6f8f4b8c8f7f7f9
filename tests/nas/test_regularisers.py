import math

import pytest
import torch
from torch import Tensor

from nas_reid.errors import ConfigError
from nas_reid.nas.regularisers import REGULARISERS, build_regulariser, entropy, none_share, skip_count
from nas_reid.search_space import Choice, Decision

NONE, SKIP = frozenset({"none", "param_free"}), frozenset({"skip", "param_free"})
CELL = Decision("cell", 2, (Choice("none", NONE), Choice("skip", SKIP, 1.0), Choice("conv", cost=5.0)))
GATE = Decision("gate", 3, (Choice("drop"), Choice("keep", cost=10.0)))
DECISIONS = (CELL, GATE)


def alphas() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {d.name: torch.randn(d.rows, len(d.choices), generator=generator).requires_grad_() for d in DECISIONS}


def soft(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.softmax(-1) for name, value in values.items()}


def penalty(name: str, values: dict[str, Tensor], probabilities: dict[str, Tensor]) -> float:
    return REGULARISERS[name](values, probabilities, DECISIONS).item()


def test_beta_decay_by_hand() -> None:
    values = alphas()
    rows = [math.log(sum(math.exp(a) for a in row)) for value in values.values() for row in value.tolist()]
    assert len(rows) == 5
    assert penalty("beta_decay", values, soft(values)) == pytest.approx(sum(rows) / 5, rel=1e-5)


def test_zero_one_by_hand() -> None:
    values = alphas()
    gates = {name: value.sigmoid() for name, value in values.items()}
    entries = [p for gate in gates.values() for row in gate.tolist() for p in row]
    expected = -sum((p - 0.5) ** 2 for p in entries) / 12
    assert penalty("zero_one", values, gates) == pytest.approx(expected, rel=1e-5)
    assert penalty("zero_one", values, {"cell": torch.ones(2, 3), "gate": torch.zeros(3, 2)}) == -0.25


def test_entropy_by_hand_and_at_the_corners() -> None:
    values = alphas()
    probabilities = {"cell": torch.full((2, 3), 1 / 3), "gate": torch.tensor([[0.0, 1.0]]).expand(3, 2)}
    assert penalty("entropy", values, probabilities) == pytest.approx(2 * math.log(3) / 5, rel=1e-6)
    far = {"cell": torch.tensor([[0.0, -500.0, 500.0]] * 2).requires_grad_(), "gate": torch.zeros(3, 2)}
    value = REGULARISERS["entropy"](far, soft(far), DECISIONS)
    assert torch.autograd.grad(value, far["cell"])[0].isfinite().all()


def test_entropy_of_independent_gates_by_hand() -> None:
    """H(0.9) + H(0.1) + H(0.5) + H(1): gates do not sum to 1, and -p log p of one alone is no entropy."""
    gates = {"a": torch.tensor([[0.9, 0.1]]), "b": torch.tensor([[0.5, 1.0]])}
    expected = (2 * -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) + math.log(2) + 0) / 4
    assert entropy(gates, sums_to_one=False).item() == pytest.approx(expected, rel=1e-6)
    values = {"cell": torch.full((2, 3), 200.0).requires_grad_(), "gate": torch.zeros(3, 2).requires_grad_()}
    opened = {name: value.sigmoid() for name, value in values.items()}
    total, parts = build_regulariser({"entropy": 2.0}, DECISIONS, sums_to_one=False)(values, opened, epoch=0, epochs=3)
    assert parts["entropy"].item() == pytest.approx(6 * math.log(2) / 12, rel=1e-6)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(total, list(values.values())))


def test_expected_cost_by_hand() -> None:
    probabilities = {
        "cell": torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]),
        "gate": torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]),
    }
    assert penalty("expected_cost", alphas(), probabilities) == pytest.approx((0.5 + 5 + 0 + 10 + 5) / (10 + 30))


@pytest.mark.parametrize(("share", "sign"), [(0.9, 1), (0.5, -1)])
def test_a_budget_is_approached_from_either_side(share: float, sign: int) -> None:
    logit = math.log(share / (1 - share))
    values = {"gate": torch.tensor([[0.0, logit]] * 3, requires_grad=True)}
    regulariser = build_regulariser({"cost_budget": {"weight": 2.0, "target": 0.7}}, (GATE,))
    total, parts = regulariser(values, soft(values), epoch=0, epochs=2)
    assert total.item() == pytest.approx(2 * (share - 0.7) ** 2, rel=1e-5)
    assert parts["cost_budget"].item() == pytest.approx((share - 0.7) ** 2, rel=1e-5)
    (gradient,) = torch.autograd.grad(total, values["gate"])
    assert (gradient[:, 1].sign() == sign).all()  # descent closes gates above the budget and opens them below


@pytest.mark.parametrize(("entry", "message"), [
    (1.0, r"'cost_budget' has \[\] beside its weight; expected \['target'\]"),
    ({"target": 0.7}, "'cost_budget' has weight None; expected a number"),
    ({"weight": 1, "aim": 0.5}, r"has \['aim'\] beside"),
    ({"weight": 1, "target": 2}, "target 2; expected a share from 0 to 1"),
])
def test_illegal_budgets(entry: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_regulariser({"cost_budget": entry}, (GATE,))
    assert build_regulariser({"cost_budget": {"weight": 0, "target": 0.7}, "entropy": 0}, (CELL,)).weights == {}


def test_a_target_is_for_budgets_only() -> None:
    with pytest.raises(ConfigError, match=r"'entropy' has .*target.* beside its weight; expected"):
        build_regulariser({"entropy": {"weight": 1, "target": 0.5}}, (GATE,))


@pytest.mark.parametrize("name", ["entropy", "zero_one"])
def test_discreteness_penalties_sharpen_gates(name: str) -> None:
    values = {"cell": torch.zeros(2, 3), "gate": torch.tensor([[0.0, 0.3]] * 3, requires_grad=True)}
    value = REGULARISERS[name](values, soft(values), DECISIONS)
    (gradient,) = torch.autograd.grad(value, values["gate"])
    assert (gradient[:, 1] < 0).all() and (gradient[:, 0] > 0).all()  # descent widens the gap


def test_composite_is_the_ramped_sum() -> None:
    values = alphas()
    regulariser = build_regulariser({"beta_decay": [0, 50], "entropy": 0.5}, DECISIONS)
    for epoch, beta in ((0, 0.0), (5, 25.0), (10, 50.0)):
        total, parts = regulariser(values, soft(values), epoch=epoch, epochs=11)
        assert list(parts) == ["beta_decay", "entropy"] and not parts["entropy"].requires_grad
        expected = beta * parts["beta_decay"] + 0.5 * parts["entropy"]
        torch.testing.assert_close(total.detach(), expected)
    gradients = torch.autograd.grad(total, list(values.values()))
    assert all((gradient != 0).all() for gradient in gradients)


def test_no_regulariser_is_zero() -> None:
    total, parts = build_regulariser({}, DECISIONS)(alphas(), soft(alphas()), epoch=0, epochs=3)
    assert total.item() == 0 and parts == {}


def test_illegal_regularisers() -> None:
    with pytest.raises(ConfigError, match=r"'l2'.*beta_decay"):
        build_regulariser({"l2": 1.0}, DECISIONS)
    for weight in ([1, 2, 3], "high", [0, None], True, math.nan, {}):
        with pytest.raises(ConfigError, match=r"'entropy' has weight .*; expected a number or \[first, last\]"):
            build_regulariser({"entropy": weight}, DECISIONS)
    assert build_regulariser({"entropy": None}, DECISIONS).weights == {}
    with pytest.raises(ConfigError, match="no choice of the search space declares one"):
        build_regulariser({"expected_cost": 1.0}, (Decision("cell", 1, (Choice("a"), Choice("b"))),))


def test_signs_of_collapse() -> None:
    gates = torch.tensor([[0.4, 0.6]] * 3)
    probabilities = {"cell": torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]), "gate": gates}
    assert none_share(probabilities, DECISIONS) == 0.5  # the gates offer no "none"
    assert none_share(probabilities, (GATE,)) == 0.0
    assert skip_count(probabilities, DECISIONS) == {"cell": 1, "gate": 0}
    probabilities["cell"] = torch.tensor([[0.6, 0.1, 0.3], [0.1, 0.2, 0.7]])
    assert skip_count(probabilities, DECISIONS) == {"cell": 0, "gate": 0}
