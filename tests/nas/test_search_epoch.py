"""The search epoch, step by step: who moves when, at which learning rate, by which gradient; when a search stops."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nas_reid.data.batches import Batch
from nas_reid.losses.objective import Objective
from nas_reid.modules.head import Head
from nas_reid.nas.arch_parameters import ArchParameters
from nas_reid.nas.bilevel import Bilevel, Level, Moment
from nas_reid.nas.regularisers import build_regulariser
from nas_reid.nas.relaxation import get_relaxation
from nas_reid.network.model import ReIDNetwork
from nas_reid.search import train_one_epoch
from nas_reid.training.optim import LearningRate, build_optimizer, parameter_groups
from tests.toy_space import ToySpace

EPOCHS, STEPS = 4, 3
LOWER = LearningRate(base=0.3, schedule="cosine", epochs=EPOCHS, final_ratio=0.1, warmup_epochs=0.5, warmup_ratio=0.2)
UPPER = LearningRate(base=0.7, schedule="cosine", epochs=EPOCHS)


class Batches:
    """The batch of every step has a seed of its own."""

    waited_s = 0.0

    def __init__(self, first: int) -> None:
        self.first = first

    def __len__(self) -> int:
        return STEPS

    def at(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(self.first + step)
        images, labels = torch.randn(6, 3, 8, 4, generator=generator), torch.tensor([0, 0, 1, 1, 2, 2])
        return Batch(images, labels, torch.arange(6) % 2)

    def stream(self, start: int, count: int) -> Iterator[Batch]:
        return (self.at(step) for step in range(start, start + count))


TRAIN, VAL = Batches(100), Batches(900)


def make_bilevel() -> Bilevel:
    torch.manual_seed(0)
    space = ToySpace()
    trunk = space.supernet()
    network = ReIDNetwork(trunk, Head(trunk.out_channels, 3, neck=True, running_stats=False))
    arch = ArchParameters(space.decisions(), init_scale=0.5, generator=torch.Generator().manual_seed(1))
    lower, upper = (Level(Objective(terms, num_classes=3, width=4),
                          build_optimizer("sgd", parameter_groups(module.named_parameters(), weight_decay=0.0), lr=1.0),
                          rate)
                    for terms, module, rate in (({"cross_entropy": {}}, network, LOWER),
                                                ({"cross_entropy": {"weight": 5.0}}, arch, UPPER)))
    return Bilevel(network, arch, lower, upper, get_relaxation("gumbel"), 1,
                   build_regulariser({"entropy": 0.5}, space.decisions()), seed=3)


def algorithm(**changes: Any) -> SimpleNamespace:
    known = {"scheme": "first_order", "order": "alphas_first", "hessian": "exact", "warmup_epochs": 0,
             "clip_weights": 0.0, "perturbation": "none", "stop_skips": None, "stop_none": None}
    has_one_level = changes.get("scheme") in ("joint", "one_shot")
    return SimpleNamespace(**known | changes, has_one_level=has_one_level)


def run(bilevel: Bilevel, epoch: int, **changes: Any) -> None:
    method = algorithm(**changes)
    train_one_epoch(bilevel, [TRAIN] if method.has_one_level else [TRAIN, VAL], epoch, algorithm=method, epochs=EPOCHS,
                    temperature=2.0)


def watch(bilevel: Bilevel) -> list[tuple[str, float]]:
    """Every step of an optimiser from now on, and its learning rate."""
    seen: list[tuple[str, float]] = []
    for name, level in (("weights", bilevel.lower), ("alphas", bilevel.upper)):
        level.optimizer.register_step_pre_hook(
            lambda optimizer, *_, name=name: seen.append((name, optimizer.param_groups[0]["lr"])))
    return seen


@pytest.mark.parametrize(("changes", "moving"), [
    ({"order": "alphas_first"}, ["alphas", "weights"]),
    ({"order": "weights_first"}, ["weights", "alphas"]),
    ({"scheme": "joint"}, ["weights", "alphas"]),
    ({"scheme": "joint", "order": "weights_first"}, ["weights", "alphas"]),
    ({"scheme": "one_shot"}, ["weights"]),
    ({"scheme": "second_order"}, ["alphas", "weights"]),
    ({"scheme": "second_order", "order": "weights_first"}, ["weights", "alphas"]),
])
@pytest.mark.parametrize("warmup", [0, 1, 2])
def test_order_warmup_and_the_learning_rate_of_every_step(changes: dict, moving: list[str], warmup: int) -> None:
    bilevel = make_bilevel()
    seen = watch(bilevel)
    for epoch in range(3):
        run(bilevel, epoch, warmup_epochs=warmup, **changes)
    rates = {"weights": LOWER, "alphas": UPPER}
    assert seen == [(name, rates[name].at(epoch + step / STEPS)) for epoch in range(3) for step in range(STEPS)
                    for name in (moving if epoch >= warmup else ["weights"])]


def by_hand(bilevel: Bilevel, epoch: int, *, order: str, joint: bool, clip: float) -> None:
    """An epoch as it is written down: plain gradient descent on the losses of both levels, one after the other."""
    weights, alphas = list(bilevel.network.parameters()), list(bilevel.arch.parameters())
    bilevel.network.train()
    for step in range(STEPS):
        moment, time = Moment(epoch, step, EPOCHS, 2.0), epoch + step / STEPS
        levels = ("weights", "alphas") if order == "weights_first" else ("alphas", "weights")
        for level in ("both",) if joint else levels:
            compute = bilevel.lower_loss if level == "weights" else bilevel.upper_loss
            batch = (VAL if level == "alphas" else TRAIN).at(epoch * STEPS + step)
            loss = compute(batch, moment, weights=None, alphas=bilevel.arch.alphas()).loss
            found = torch.autograd.grad(loss, weights + alphas)
            norm = torch.stack([gradient.norm() for gradient in found[:len(weights)]]).norm().item()
            factor = min(1.0, clip / norm) if clip else 1.0
            with torch.no_grad():
                if level != "alphas":
                    for parameter, gradient in zip(weights, found[:len(weights)], strict=True):
                        parameter -= LOWER.at(time) * factor * gradient
                if level != "weights":
                    for parameter, gradient in zip(alphas, found[len(weights):], strict=True):
                        parameter -= UPPER.at(time) * gradient


@pytest.mark.parametrize("order", ["alphas_first", "weights_first"])
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_an_epoch_is_gradient_descent_on_both_levels_with_the_weights_alone_clipped(order: str, joint: bool,
                                                                                   clip: float) -> None:
    ours, theirs = make_bilevel(), make_bilevel()
    begun = [parameter.detach().clone() for parameter in ours.arch.parameters()]
    for epoch in (1, 2):
        run(ours, epoch, order=order, scheme="joint" if joint else "first_order", clip_weights=clip)
        by_hand(theirs, epoch, order=order, joint=joint, clip=clip)
    for one, other in zip([*ours.network.parameters(), *ours.arch.parameters()],
                          [*theirs.network.parameters(), *theirs.arch.parameters()], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert all((now - before).norm() > 0.05 for now, before in zip(ours.arch.parameters(), begun, strict=True))


def test_alphas_rest_bit_for_bit_until_the_warmup_ends_and_move_in_the_epoch_after_it() -> None:
    bilevel = make_bilevel()
    begun = [parameter.detach().clone() for parameter in bilevel.arch.parameters()]
    for epoch, rests in ((0, True), (1, True), (2, False)):
        run(bilevel, epoch, warmup_epochs=2)
        assert all(torch.equal(now, old) for now, old in zip(bilevel.arch.parameters(), begun, strict=True)) == rests
