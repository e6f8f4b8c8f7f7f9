from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from nas_reid.errors import ConfigError
from nas_reid.training.optim import (
    LearningRate,
    build_optimizer,
    build_training,
    parameter_groups,
    require_disjoint,
    set_lr,
)


def parameters() -> list[nn.Parameter]:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    return list(network.parameters())


def grouped(weights: list[nn.Parameter], **options: Any) -> list[dict[str, Any]]:
    return parameter_groups(((str(number), weight) for number, weight in enumerate(weights)), **options)


def stepped(build) -> list[Tensor]:
    weights = parameters()
    optimizer = build(weights)
    for scale in (1.0, -0.5, 2.0):
        for weight in weights:
            weight.grad = scale * torch.ones_like(weight)
        optimizer.step()
    return weights


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    [
        ("sgd", {"momentum": 0.9, "nesterov": True}, torch.optim.SGD),
        ("adam", {"betas": (0.5, 0.999), "amsgrad": True}, torch.optim.Adam),
        ("adamw", {"betas": (0.5, 0.999)}, torch.optim.AdamW),
    ],
)
def test_steps_are_those_of_torch(name: str, options: dict, reference) -> None:
    ours = stepped(lambda weights: build_optimizer(name, grouped(weights, weight_decay=0.01), lr=0.1, **options))
    theirs = stepped(lambda weights: reference(weights, lr=0.1, weight_decay=0.01, **options))
    for one, other in zip(ours, theirs, strict=True):  # theirs is the loop over the parameters: rounded elsewhere
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    [
        ("sgd", {"momentum": 0.9}, torch.optim.SGD),
        ("sgd", {"momentum": 0.9, "nesterov": True}, torch.optim.SGD),
        ("sgd", {}, torch.optim.SGD),
        ("adam", {"amsgrad": True}, torch.optim.Adam),
        ("adamw", {}, torch.optim.AdamW),
    ],
)
@pytest.mark.parametrize("resumed", [False, True])
def test_steps_are_those_of_torch_where_first_gradients_come_at_different_steps(
        name: str, options: dict, reference, resumed: bool) -> None:
    """As where one op of an edge is sampled, or a trunk was frozen: parameter i has a gradient in step s of SEEN[i]."""
    seen = ({0, 1, 2, 3, 4, 5}, {2, 5}, {1, 2, 4}, {3, 4, 5}, {5}, set())

    def trained(build) -> list[Tensor]:
        torch.manual_seed(0)
        weights = [nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in ((2, 3, 2, 2),) * 3 + ((4,),) * 3]
        weights[1].data = weights[1].data.contiguous(memory_format=torch.channels_last)
        optimizer = build(weights)
        for step in range(6):
            if resumed and step == 3:
                state, optimizer = optimizer.state_dict(), build(weights)
                optimizer.load_state_dict(state)
            for weight, steps in zip(weights, seen, strict=True):
                gradient = torch.randn(weight.shape, dtype=torch.float64)
                weight.grad = torch.empty_like(weight).copy_(gradient) if step in steps else None
            optimizer.step()
        return weights

    ours = trained(lambda weights: build_optimizer(name, grouped(weights, weight_decay=0.1), lr=0.1, **options))
    theirs = trained(lambda weights: reference(weights, lr=0.1, weight_decay=0.1, foreach=False, **options))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_vectors_can_be_exempt_from_decay() -> None:
    weights = parameters()
    optimizer = build_optimizer("sgd", grouped(weights, weight_decay=0.5, decay_vectors=False), lr=0.1)
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    before = [weight.detach().clone() for weight in weights]
    optimizer.step()
    factors = [0.95 if weight.ndim > 1 else 1.0 for weight in weights]
    assert {weight.ndim for weight in weights} == {1, 2, 4}
    for weight, old, factor in zip(weights, before, factors, strict=True):
        torch.testing.assert_close(weight.detach(), factor * old)


def test_frozen_parameters_are_left_out() -> None:
    weights = parameters()
    weights[0].requires_grad_(False)
    optimizer = build_optimizer("sgd", grouped(weights, weight_decay=0.0), lr=0.1)
    assert all(weights[0] is not weight for weight in optimizer.param_groups[0]["params"])
    with pytest.raises(ConfigError, match="no trainable parameter"):
        build_optimizer("sgd", grouped(weights[:1], weight_decay=0.0), lr=0.1)


def test_illegal_optimizers() -> None:
    with pytest.raises(ConfigError, match=r"'lion'.*sgd.*adam"):
        build_optimizer("lion", grouped(parameters(), weight_decay=0.0), lr=0.1)
    with pytest.raises(ConfigError, match=r"'sgd': .*learning rate"):
        build_optimizer("sgd", grouped(parameters(), weight_decay=0.0), lr=-0.1)


def test_groups_have_learning_rates_of_their_own() -> None:
    network = nn.ModuleDict({"trunk": nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), "head": nn.Linear(4, 2)})
    groups = parameter_groups(network.named_parameters(), weight_decay=0.5, decay_vectors=False, bias_lr_factor=2,
                              head_lr_factor=10)
    names = {parameter: name for name, parameter in network.named_parameters()}
    found = {(group["weight_decay"], group["lr_factor"]): [names[each] for each in group["params"]] for group in groups}
    assert found == {(0.5, 1.0): ["trunk.0.weight"], (0.0, 2.0): ["trunk.0.bias", "trunk.1.bias"],
                     (0.0, 1.0): ["trunk.1.weight"], (0.5, 10.0): ["head.weight"], (0.0, 20.0): ["head.bias"]}
    optimizer = build_optimizer("sgd", groups, lr=0.1)
    set_lr(optimizer, 0.3)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.3, 0.6, 0.3, 3.0, 6.0])
    restored = build_optimizer("sgd", groups, lr=0.1)
    restored.load_state_dict(optimizer.state_dict())
    set_lr(restored, 0.1)
    assert [group["lr"] for group in restored.param_groups] == pytest.approx([0.1, 0.2, 0.1, 1.0, 2.0])
    assert len(parameter_groups(network.named_parameters(), weight_decay=0.5)) == 1


def epochs_of(make_scheduler, epochs: int) -> list[float]:
    optimizer = torch.optim.SGD(parameters(), lr=0.1)
    scheduler: LRScheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_schedules_are_those_of_torch() -> None:
    cosine = LearningRate(base=0.1, schedule="cosine", epochs=50, final_ratio=0.01)
    expected = epochs_of(lambda optimizer: CosineAnnealingLR(optimizer, 50, eta_min=0.001), 51)
    assert [cosine.at(epoch) for epoch in range(51)] == pytest.approx(expected, rel=1e-9)
    assert cosine.at(50) == pytest.approx(0.001, rel=1e-12)


def test_cosine_of_osnets_training() -> None:
    """facts/torchreid.md, item 9: 100 epochs from 0.0015 to zero."""
    rate = LearningRate(base=0.0015, schedule="cosine", epochs=100)
    assert [rate.at(epoch) for epoch in (9, 10, 50, 99)] == pytest.approx([0.00147022, 0.00146329, 0.00075, 3.7e-7],
                                                                         rel=0, abs=6e-9)
    steps = LearningRate(base=0.1, schedule="multi_step", epochs=200, milestones=(60, 150), gamma=0.1)
    expected = epochs_of(lambda optimizer: MultiStepLR(optimizer, [60, 150], gamma=0.1), 200)
    assert [steps.at(epoch) for epoch in range(200)] == pytest.approx(expected, rel=1e-9)
    assert {LearningRate(base=0.2, schedule="constant", epochs=3).at(epoch) for epoch in range(4)} == {0.2}


def test_warmup_is_linear_and_milestones_count_from_the_start() -> None:
    rate = LearningRate(
        base=1.0, schedule="multi_step", epochs=40, milestones=(20,), gamma=0.5, warmup_epochs=10, warmup_ratio=0.1
    )
    assert [rate.at(progress) for progress in (0, 5, 9.5, 10, 19.9, 20)] == pytest.approx([0.1, 0.55, 0.955, 1, 1, 0.5])
    cosine = LearningRate(base=1.0, schedule="cosine", epochs=40, warmup_epochs=10)
    assert [cosine.at(progress) for progress in (10, 25, 40)] == pytest.approx([1, 0.5, 0])


def test_warmup_in_steps_and_flat_then_cosine_are_fastreids() -> None:
    """facts: base 3.5e-4, 2,000 iterations from a tenth of it; at 202 iterations an epoch cosine from 30 to 60."""
    settings = {"name": "adam", "lr": 3.5e-4, "weight_decay": 5e-4, "momentum": 0.0, "nesterov": False,
                "betas": [0.9, 0.999], "amsgrad": False, "schedule": "cosine", "final_ratio": 0.002, "flat_epochs": 30,
                "milestones": [], "gamma": 0.1, "warmup_epochs": 1, "warmup_steps": 2000, "warmup_ratio": 0.1,
                "decay_vectors": True, "bias_lr_factor": 1, "head_lr_factor": 1}
    _, rate = build_training(nn.Linear(2, 2).named_parameters(), SimpleNamespace(**settings), epochs=60, steps=202)
    assert [rate.at(step / 202) for step in (0, 1000, 1818, 2000, 29 * 202)] == pytest.approx(
        [3.5e-5, 1.925e-4, 3.21335e-4, 3.5e-4, 3.5e-4], rel=1e-9)
    assert [rate.at(epoch) for epoch in (31, 45, 59)] == pytest.approx([3.490432e-4, 1.7535e-4, 1.656751e-6], rel=1e-6)
    _, by_epochs = build_training(nn.Linear(2, 2).named_parameters(),
                                  SimpleNamespace(**settings | {"warmup_steps": None}), epochs=60, steps=202)
    assert by_epochs.at(0.5) == pytest.approx(3.5e-4 * 0.55) and by_epochs.at(1) == 3.5e-4


def test_illegal_learning_rates() -> None:
    with pytest.raises(ConfigError, match=r"'poly'.*cosine"):
        LearningRate(base=0.1, schedule="poly", epochs=10)
    with pytest.raises(ConfigError, match="warm-up shorter"):
        LearningRate(base=0.1, schedule="cosine", epochs=10, warmup_epochs=10)
    with pytest.raises(ConfigError, match="flat for 10 epochs of 10"):
        LearningRate(base=0.1, schedule="cosine", epochs=10, flat_epochs=10)
    with pytest.raises(ConfigError, match="not increasing"):
        LearningRate(base=0.1, schedule="multi_step", epochs=10, milestones=(5, 3))


def test_a_parameter_cannot_be_both_weight_and_alpha() -> None:
    weight, alpha = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    require_disjoint({"conv.weight": weight}, {"normal": alpha})
    with pytest.raises(ConfigError, match=r"cell\.alpha = normal"):
        require_disjoint({"conv.weight": weight, "cell.alpha": alpha}, {"normal": alpha})


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_backward_gives_gradients_the_memory_order_that_the_fused_step_reads(name: str) -> None:
    networks = []
    for fused in (True, False):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3, groups=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8),
                                nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(16, 2)).double()
        network.to(memory_format=torch.channels_last)
        optimizer = build_optimizer(name, parameter_groups(network.named_parameters(), weight_decay=0.1), lr=0.1)
        assert all(group["fused"] for group in optimizer.param_groups)
        for group in optimizer.param_groups:
            group["fused"] = fused
        for seed in range(3):
            images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            network(images).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        networks.append(network)
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
