"""Who moves in which step, which noise a loss sees, and that a saved state continues bit for bit."""

import random
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_reid.data.batches import Batch
from nas_reid.losses.objective import LOSSES, Objective
from nas_reid.modules.head import Head
from nas_reid.nas.arch_parameters import ArchParameters
from nas_reid.nas.bilevel import Bilevel, Level, Moment
from nas_reid.nas.regularisers import build_regulariser
from nas_reid.nas.relaxation import get_relaxation
from nas_reid.network.model import Output, ReIDNetwork
from nas_reid.search import step_alphas, step_weights
from nas_reid.seed import seed_everything
from nas_reid.training.optim import LearningRate
from tests.toy_space import ToySpace

SCALED = ("arcface", "cosface", "cosface_pairs")
MOMENT = Moment(epoch=1, step=2, epochs=5, temperature=1.0)


def objective(terms: dict) -> Objective:
    return Objective(terms, num_classes=3, width=4)


def eq_5(identity_weight: float, *, margin: float | None) -> Objective:
    return objective({"cross_entropy": {"weight": identity_weight},
                      "triplet": {"weight": 1 - identity_weight, "margin": margin}})


def make_bilevel(*, relaxation: str = "gumbel", samples: int = 1, penalties: dict | None = None,
                 terms: dict | None = None, head: dict | None = None) -> Bilevel:
    torch.manual_seed(0)
    space = ToySpace()
    trunk = space.supernet()
    network = ReIDNetwork(trunk, Head(trunk.out_channels, 3, neck=True, running_stats=False, **(head or {})))
    arch = ArchParameters(space.decisions(), init_scale=0.5, generator=torch.Generator().manual_seed(1))
    rate = LearningRate(base=0.1, schedule="constant", epochs=5)
    lower = Level(objective(terms) if terms else eq_5(0.5, margin=0.3),
                  torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3), rate)
    upper = Level(objective(terms) if terms else eq_5(0.7, margin=None),
                  torch.optim.SGD(arch.parameters(), lr=0.1), rate)
    return Bilevel(network, arch, lower, upper, get_relaxation(relaxation), samples,
                   build_regulariser(penalties or {}, space.decisions()), seed=3)


def make_batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    return Batch(torch.randn(6, 3, 8, 4, generator=generator), labels, torch.arange(6) % 2)


def algorithm(scheme: str = "first_order", hessian: str = "exact") -> SimpleNamespace:
    return SimpleNamespace(scheme=scheme, hessian=hessian)


def copies(module: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def lower_loss(bilevel: Bilevel, moment: Moment = MOMENT) -> torch.Tensor:
    return bilevel.lower_loss(make_batch(0), moment, weights=None, alphas=bilevel.arch.alphas()).loss.detach()


def upper_loss(bilevel: Bilevel, moment: Moment = MOMENT) -> torch.Tensor:
    return bilevel.upper_loss(make_batch(0), moment, weights=None, alphas=bilevel.arch.alphas()).loss.detach()


@pytest.mark.parametrize("relaxation", ["softmax", "gumbel", "gumbel_sampled"])
def test_a_weight_step_leaves_the_alphas_alone(relaxation: str) -> None:
    bilevel = make_bilevel(relaxation=relaxation)
    weights, alphas = copies(bilevel.network), copies(bilevel.arch)
    step_weights(bilevel, make_batch(0), MOMENT, clip=5.0, joint=False)
    assert not equal(weights, copies(bilevel.network))
    assert equal(alphas, copies(bilevel.arch))
    assert all(alpha.grad is None for alpha in bilevel.arch.parameters())


@pytest.mark.parametrize(("scheme", "hessian"), [("first_order", ""), ("second_order", "exact"),
                                                 ("second_order", "finite_difference")])
def test_an_alpha_step_leaves_weights_and_their_gradients_alone(scheme: str, hessian: str) -> None:
    bilevel = make_bilevel()
    step_weights(bilevel, make_batch(0), MOMENT, clip=0.0, joint=False)  # momentum for the virtual step
    for parameter in bilevel.network.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    weights, alphas = copies(bilevel.network), copies(bilevel.arch)
    step_alphas(bilevel, make_batch(0), make_batch(1), MOMENT, algorithm(scheme, hessian))
    assert equal(weights, copies(bilevel.network))
    assert all((parameter.grad == 7.0).all() for parameter in bilevel.network.parameters())
    assert not equal(alphas, copies(bilevel.arch))


def test_schemes_differ_in_their_gradients_and_both_hessians_agree() -> None:
    moved = {}
    for scheme, hessian in (("first_order", ""), ("second_order", "exact"), ("second_order", "finite_difference")):
        bilevel = make_bilevel()
        step_weights(bilevel, make_batch(0), MOMENT, clip=0.0, joint=False)
        step_alphas(bilevel, make_batch(0), make_batch(1), MOMENT, algorithm(scheme, hessian))
        moved[scheme, hessian] = bilevel.arch.alphas()["path"].detach()
    first, exact, difference = moved.values()
    assert not torch.allclose(first, exact, atol=1e-5, rtol=0)
    assert torch.allclose(exact, difference, atol=1e-5, rtol=0)  # triplets that change hands would be a kink


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if not loss.has_constant_factors])
def test_every_loss_without_constant_factors_can_be_differentiated_twice(name: str) -> None:
    """Smooth where the points are: no triplet changes hands within the step of the central difference."""
    moved = []
    for hessian in ("exact", "finite_difference"):
        bilevel = make_bilevel(terms={name: {"scale": 4} if name in SCALED else {}}, head={"classifier": "cosine"})
        bilevel.remember(make_batch(0), Output(torch.ones(6, 4), torch.ones(6, 3)))
        before = bilevel.arch.alphas()["path"].detach().clone()
        step_alphas(bilevel, make_batch(0), make_batch(1), MOMENT, algorithm("second_order", hessian))
        moved.append(bilevel.arch.alphas()["path"].detach() - before)
    assert moved[0].abs().max() > 1e-5
    assert torch.allclose(*moved, atol=2e-5, rtol=1e-2)


@pytest.mark.parametrize(("scheme", "hessian"), [("first_order", ""), ("second_order", "exact"),
                                                 ("second_order", "finite_difference")])
def test_only_a_weight_step_moves_the_centers_and_it_moves_those_of_both_levels(scheme: str, hessian: str) -> None:
    bilevel = make_bilevel(terms={"center": {}, "cross_entropy": {}})
    objectives = [level.objective for level in (bilevel.lower, bilevel.upper)]
    step_alphas(bilevel, make_batch(0), make_batch(1), MOMENT, algorithm(scheme, hessian))
    assert not any(state.any() for one in objectives for state in one.state_dict().values())
    step_weights(bilevel, make_batch(0), MOMENT, clip=0.0, joint=False)
    centers = [one.state_dict()["losses.center.0.centers"] for one in objectives]
    assert centers[0].any() and torch.equal(*centers)
    assert torch.equal(bilevel.state_dict()["weight_objective"]["losses.center.0.centers"], centers[0])


def test_the_virtual_step_uses_the_optimizers_momentum() -> None:
    moved = []
    for forget in (False, True):
        bilevel = make_bilevel()
        step_weights(bilevel, make_batch(0), MOMENT, clip=0.0, joint=False)
        if forget:
            bilevel.lower.optimizer.state.clear()
        step_alphas(bilevel, make_batch(0), make_batch(1), MOMENT, algorithm("second_order"))
        moved.append(bilevel.arch.alphas()["path"].detach())
    assert not torch.equal(*moved)


def test_the_alphas_minimise_on_their_own_batch() -> None:
    moved = []
    for train, val in ((0, 1), (2, 1), (0, 2)):
        bilevel = make_bilevel()
        step_alphas(bilevel, make_batch(train), make_batch(val), MOMENT, algorithm())
        moved.append(bilevel.arch.alphas()["path"].detach())
    assert torch.equal(moved[0], moved[1]) and not torch.equal(moved[0], moved[2])


def test_the_virtual_step_is_taken_on_the_batch_of_the_weights() -> None:
    moved = []
    for train in (0, 2):
        bilevel = make_bilevel()
        step_alphas(bilevel, make_batch(train), make_batch(1), MOMENT, algorithm("second_order"))
        moved.append(bilevel.arch.alphas()["path"].detach())
    assert not torch.equal(*moved)


def test_a_joint_step_moves_both_and_clips_the_weights_alone() -> None:
    moves = {}
    for clip in (0.0, 1e-9):
        bilevel = make_bilevel()
        weights, alphas = copies(bilevel.network), copies(bilevel.arch)
        step_weights(bilevel, make_batch(0), MOMENT, clip=clip, joint=True)
        moves[clip] = [max((a - b).abs().max().item() for a, b in zip(before, copies(module), strict=True))
                       for before, module in ((weights, bilevel.network), (alphas, bilevel.arch))]
        assert all(p.grad is None for module in (bilevel.network, bilevel.arch) for p in module.parameters())
    assert moves[0.0][0] > 1e-3 and moves[0.0][1] > 1e-4
    assert moves[1e-9][0] < 1e-2 * moves[0.0][0]  # weight decay is left
    assert moves[1e-9][1] == moves[0.0][1]


@pytest.mark.parametrize("loss", [lower_loss, upper_loss])
def test_noise_is_a_function_of_level_epoch_step_and_seed(loss: Callable) -> None:
    bilevel = make_bilevel()
    reference = loss(bilevel)
    torch.rand(5)  # the global generator has no say
    assert torch.equal(loss(bilevel), reference)
    assert not torch.equal(loss(bilevel, Moment(1, 3, 5, 1.0)), reference)
    assert not torch.equal(loss(bilevel, Moment(2, 2, 5, 1.0)), reference)


def test_the_two_levels_draw_different_noise_and_the_same_for_live_and_given_weights() -> None:
    bilevel, seen = make_bilevel(), []
    bilevel.network.trunk.register_forward_pre_hook(lambda module, args: seen.append(args[1]["path"].weights.detach()))
    weights = dict(bilevel.network.named_parameters())
    live, given = (bilevel.lower_loss(make_batch(0), MOMENT, weights=form, alphas=bilevel.arch.alphas()).loss
                   for form in (None, weights))
    upper_loss(bilevel)
    assert torch.equal(seen[0], seen[1]) and torch.equal(live, given)
    assert not torch.equal(seen[0], seen[2])


def test_samples_are_averaged() -> None:
    bilevel, seen = make_bilevel(samples=3), []
    bilevel.network.trunk.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    batch = make_batch(0)
    loss, terms, _ = bilevel.lower_loss(batch, MOMENT, weights=None, alphas=bilevel.arch.alphas())
    drawn = [mixes["path"].weights for mixes in seen]
    assert len(drawn) == 3 and len({tuple(weights.flatten().tolist()) for weights in drawn}) == 3
    single = [bilevel.lower.objective(bilevel.network(batch.images, mixes), batch.labels) for mixes in list(seen)]
    assert torch.allclose(loss, torch.stack([value for value, _ in single]).mean())
    for name, term in terms.items():
        assert torch.allclose(term, torch.stack([parts[name] for _, parts in single]).mean())


def test_penalties_weigh_on_the_upper_level_alone() -> None:
    plain, penalised = make_bilevel(), make_bilevel(penalties={"entropy": 2.0})
    assert torch.equal(lower_loss(plain), lower_loss(penalised))
    probabilities = penalised.probabilities()["path"]
    entropy = -(probabilities * probabilities.log()).sum(1).mean()
    assert torch.allclose(upper_loss(penalised) - upper_loss(plain), 2 * entropy)
    terms = penalised.upper_loss(make_batch(0), MOMENT, weights=None, alphas=penalised.arch.alphas()).terms
    assert torch.allclose(terms["entropy"], entropy) and {"cross_entropy", "triplet"} < set(terms)


def test_recorded_terms_name_the_level() -> None:
    bilevel = make_bilevel()
    terms = step_weights(bilevel, make_batch(0), MOMENT, clip=0.0, joint=False)
    assert set(terms) == {"search/loss_weights", "search/loss_weights_cross_entropy", "search/loss_weights_triplet"}


class Noisy(nn.Module):
    """A plugin's module that draws from every global generator."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = x.new_empty(len(x), 1).bernoulli_(0.5) + random.random() + float(np.random.rand())
        return functional.dropout(x, 0.5, self.training) * scale


def make_noisy(**arguments: object) -> Bilevel:
    bilevel = make_bilevel(relaxation="softmax", head={"embedding": 4, "dropout": 0.3}, **arguments)
    bilevel.network.head.embedding = nn.Sequential(bilevel.network.head.embedding, Noisy())
    return bilevel


def test_what_modules_draw_is_a_function_of_seed_level_epoch_step_and_sample() -> None:
    bilevel = make_noisy()
    loss = lower_loss(bilevel)
    seed_everything(123)  # wherever the global generators are
    assert torch.equal(lower_loss(bilevel), loss) and torch.equal(upper_loss(bilevel), upper_loss(bilevel))
    others = [lower_loss(bilevel, replace(MOMENT, epoch=2)), lower_loss(bilevel, replace(MOMENT, step=3)),
              lower_loss(replace(bilevel, seed=4)), lower_loss(replace(bilevel, samples=2)),
              lower_loss(replace(bilevel, upper=bilevel.lower)),
              bilevel._loss("alphas", bilevel.lower.objective, make_batch(0), MOMENT, None, bilevel.arch.alphas()).loss]
    assert [torch.equal(other, loss) for other in others] == [False, False, False, False, True, False]


def test_second_order_sees_one_function_where_modules_draw() -> None:
    """Masks that differ between the two losses of a difference made the alphas' gradient several times too large."""
    moved = []
    for hessian in ("exact", "finite_difference"):
        bilevel = make_noisy(terms={"cross_entropy": {}})
        bilevel.lower.optimizer.param_groups[0]["lr"] = 10.0  # the curvature's factor
        before = bilevel.arch.alphas()["path"].detach().clone()
        step_alphas(bilevel, make_batch(0), make_batch(1), MOMENT, algorithm("second_order", hessian))
        moved.append(bilevel.arch.alphas()["path"].detach() - before)
    largest = moved[0].abs().max().item()
    assert largest > 1e-3 and torch.allclose(*moved, atol=0.01 * largest, rtol=0)


def test_evaluation_is_without_noise_and_without_gradient() -> None:
    bilevel = make_bilevel(relaxation="gumbel_hard")
    supernet = bilevel.without_noise().eval()
    first = supernet(make_batch(0).images)
    assert torch.equal(first, supernet(make_batch(0).images)) and first.shape == (6, 4)
    weights = supernet.mixes["path"].weights
    assert torch.equal(weights.argmax(1), bilevel.arch.alphas()["path"].argmax(1)) and not weights.requires_grad


def test_a_saved_state_continues_bit_for_bit() -> None:
    def advance(bilevel: Bilevel, steps: range) -> None:
        for step in steps:
            step_alphas(bilevel, make_batch(step), make_batch(step + 50), Moment(0, step, 5, 1.0),
                        algorithm("second_order"))
            step_weights(bilevel, make_batch(step), Moment(0, step, 5, 1.0), clip=5.0, joint=False)

    terms = {"cross_entropy": {}, "triplet": {}, "center": {"weight": 0.1}}
    straight, first, second = (make_bilevel(terms=terms) for _ in range(3))
    advance(straight, range(4))
    advance(first, range(2))
    second.load_state_dict(first.state_dict())
    advance(second, range(2, 4))
    assert equal(copies(straight.arch), copies(second.arch))
    assert equal(copies(straight.network), copies(second.network))


def test_the_optimizer_of_each_level_is_saved_under_its_own_name() -> None:
    bilevel = make_bilevel()
    for level, rate in ((bilevel.lower, 0.2), (bilevel.upper, 0.7)):
        level.optimizer.param_groups[0]["lr"] = rate
    state = bilevel.state_dict()
    assert [state[f"{level}_optimizer"]["param_groups"][0]["lr"] for level in ("weight", "alpha")] == [0.2, 0.7]
