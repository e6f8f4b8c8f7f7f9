"""Perturbed mixing weights: hand-computed ascent, bounds, and what they do to the step of the weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.nas.bilevel import Bilevel, Moment
from nas_reid.nas.perturbation import Perturbation, as_distribution, ascend, build_perturbation
from nas_reid.search_space import Mix
from tests.nas.test_bilevel import MOMENT, make_batch, make_bilevel

DOUBLE = torch.float64


def mixes(rows: int = 3, choices: int = 4) -> dict[str, Mix]:
    generator = torch.Generator().manual_seed(rows)
    return {name: Mix(torch.randn(rows, choices, generator=generator, dtype=DOUBLE).softmax(-1))
            for name in ("reduce", "normal")}


def moved(perturbation: Perturbation, *, epoch: int = 0, epochs: int = 5, loss=None, seed: int = 0) -> dict[str, Mix]:
    return perturbation(mixes(), loss, epoch=epoch, epochs=epochs, generator=torch.Generator().manual_seed(seed))


def test_none_is_no_perturbation() -> None:
    assert build_perturbation("none", size=[0.03, 0.3], steps=7) is None
    assert build_perturbation("random", size=[0.03, 0.3], steps=7) == Perturbation(False, (0.03, 0.3), 7)
    assert build_perturbation("adversarial", size=[0.03, 0.3], steps=7) == Perturbation(True, (0.03, 0.3), 7)


def test_a_row_is_cut_and_normalised_by_hand() -> None:
    rows = torch.tensor([[0.5, -0.1, 1.5], [-0.3, -0.1, -0.2], [0.2, 0.2, 0.4]], dtype=DOUBLE)
    expected = torch.tensor([[1 / 3, 0, 2 / 3], [0, 1, 0], [0.25, 0.25, 0.5]], dtype=DOUBLE)
    torch.testing.assert_close(as_distribution(rows), expected)


def test_a_step_of_ascent_by_hand() -> None:
    # ε = 0.1, two steps of 0.1. The first entry rises to 0.6, the box's edge; the second would leave the box at 0.2.
    weights, slope = torch.tensor([[0.5, 0.3, 0.2]], dtype=DOUBLE), torch.tensor([[3.0, -0.001, 0.0]], dtype=DOUBLE)
    centre = torch.tensor([[0.5, 0.35, 0.15]], dtype=DOUBLE)
    expected = torch.tensor([[0.6, 0.25, 0.2]], dtype=DOUBLE) / 1.05
    torch.testing.assert_close(ascend(weights, slope, centre=centre, epsilon=0.1, steps=2), expected)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), epsilon=st.floats(1e-3, 1.0), steps=st.integers(1, 9), choices=st.integers(2, 7))
def test_the_ascent_stays_in_the_box_and_among_distributions(seed, epsilon, steps, choices) -> None:
    centre, start, slope = torch.randn(3, 6, choices, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    centre = centre.softmax(-1)
    start = as_distribution(centre + epsilon * start.tanh())
    result = ascend(start, slope, centre=centre, epsilon=epsilon, steps=steps)
    torch.testing.assert_close(result.sum(-1), torch.ones(6, dtype=DOUBLE))
    assert (result >= 0).all() and (result <= 1).all()
    # Undo the division by the sum: what it was divided from lies in the box, wherever cutting left it alone.
    boxed = centre + (start + 2 * epsilon / steps * slope.sign() - centre).clamp(-epsilon, epsilon)
    total = boxed.clamp(0, 1).sum(-1)
    inside = (result * total[:, None] - centre).abs() <= epsilon + 1e-12
    assert inside[total > 0].all()


def test_random_noise_fills_a_box_that_grows_linearly_and_spares_the_sum() -> None:
    wide = {"row": Mix(torch.full((20_000, 4), 0.25, dtype=DOUBLE))}
    for epoch, epsilon in ((0, 0.03), (2, 0.09), (4, 0.15)):
        drawn = Perturbation(False, (0.03, 0.15), 7)(wide, None, epoch=epoch, epochs=5,
                                                     generator=torch.Generator().manual_seed(0))["row"].weights
        torch.testing.assert_close(drawn.sum(-1), torch.ones(20_000, dtype=DOUBLE))
        # 1/4 + u over 1 + Σu has a standard deviation of ε / √3 · √3/2, to first order in ε.
        assert drawn.std().item() == pytest.approx(epsilon / 2, rel=0.05)
        highest = (0.25 + epsilon) / (1 - 2 * epsilon)
        assert drawn.min() >= (0.25 - epsilon) / (1 + 2 * epsilon) and drawn.max() <= highest
        assert drawn.mean().item() == pytest.approx(0.25)


def test_the_adversary_finds_the_corner_of_a_linear_loss_and_leaves_no_graph() -> None:
    seen = []

    def loss(given) -> torch.Tensor:
        seen.append({name: mix.weights.detach().clone() for name, mix in given.items()})
        return sum((mix.weights * torch.tensor([5.0, 1, -1, -1], dtype=DOUBLE)).sum() for mix in given.values())

    flat = {name: Mix(torch.full((3, 4), 0.25, dtype=DOUBLE)) for name in ("a", "b")}
    result = Perturbation(True, (0.1, 0.1), 4)(flat, loss, epoch=0, epochs=1,
                                               generator=torch.Generator().manual_seed(0))
    assert len(seen) == 4
    expected = torch.tensor([0.35, 0.35, 0.15, 0.15], dtype=DOUBLE)
    for mix in result.values():
        torch.testing.assert_close(mix.weights, expected.expand(3, 4))
        assert not mix.weights.requires_grad
    heights = [(weights["a"] @ torch.tensor([5.0, 1, -1, -1], dtype=DOUBLE)).sum().item() for weights in seen]
    assert heights == sorted(heights)


def test_a_decision_without_influence_stays_at_its_random_start() -> None:
    start = moved(Perturbation(False, (0.1, 0.1), 2))
    result = moved(Perturbation(True, (0.1, 0.1), 2), loss=lambda given: given["normal"].weights[:, 0].sum())
    torch.testing.assert_close(result["reduce"].weights, start["reduce"].weights)
    assert (result["normal"].weights[:, 0] > start["normal"].weights[:, 0]).all()


def perturbed(kind: str) -> Bilevel:
    bilevel = make_bilevel(relaxation="softmax")
    return Bilevel(**{**vars(bilevel), "perturbation": build_perturbation(kind, size=[0.1, 0.1], steps=3)})


def lower(bilevel: Bilevel, moment: Moment = MOMENT) -> float:
    return bilevel.lower_loss(make_batch(0), moment, weights=None, alphas=bilevel.arch.alphas()).loss.item()


def test_the_weights_see_a_higher_loss_under_attack_and_the_alphas_see_none_of_it() -> None:
    plain, random, attacked = (perturbed(kind) for kind in ("none", "random", "adversarial"))
    assert lower(attacked) > lower(random) and lower(attacked) > lower(plain) and lower(random) != lower(plain)
    upper = [bilevel.upper_loss(make_batch(0), MOMENT, weights=None, alphas=bilevel.arch.alphas()).loss
             for bilevel in (plain, attacked)]
    assert torch.equal(*upper)
    assert all(weight.grad is None for weight in attacked.network.parameters())


@pytest.mark.parametrize("kind", ["random", "adversarial"])
def test_the_noise_is_a_function_of_seed_epoch_and_step(kind: str) -> None:
    bilevel = perturbed(kind)
    first = lower(bilevel)
    torch.rand(3)
    assert lower(bilevel) == first == lower(perturbed(kind))
    others = {lower(bilevel, Moment(1, 3, 5, 1.0)), lower(bilevel, Moment(2, 2, 5, 1.0)),
              lower(Bilevel(**{**vars(bilevel), "seed": 4}))}
    assert len(others | {first}) == 4
