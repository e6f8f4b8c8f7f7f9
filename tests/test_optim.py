import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from nas_reid.errors import ConfigError
from nas_reid.optim import LearningRate, assert_disjoint, build_optimizer, set_lr


def parameters() -> list[nn.Parameter]:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter))
    return list(network.parameters())


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
    ours = stepped(lambda weights: build_optimizer(name, weights, lr=0.1, weight_decay=0.01, **options))
    theirs = stepped(lambda weights: reference(weights, lr=0.1, weight_decay=0.01, **options))
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_vectors_can_be_exempt_from_decay() -> None:
    weights = parameters()
    optimizer = build_optimizer("sgd", weights, lr=0.1, weight_decay=0.5, decay_vectors=False)
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
    optimizer = build_optimizer("sgd", weights, lr=0.1, weight_decay=0.0)
    assert all(weights[0] is not weight for weight in optimizer.param_groups[0]["params"])
    with pytest.raises(ConfigError, match="no trainable parameter"):
        build_optimizer("sgd", weights[:1], lr=0.1, weight_decay=0.0)


def test_illegal_optimizers() -> None:
    with pytest.raises(ConfigError, match=r"'lion'.*sgd.*adam"):
        build_optimizer("lion", parameters(), lr=0.1, weight_decay=0.0)
    with pytest.raises(ConfigError, match=r"'sgd': .*learning rate"):
        build_optimizer("sgd", parameters(), lr=-0.1, weight_decay=0.0)


def test_set_lr_reaches_every_group() -> None:
    optimizer = build_optimizer("sgd", parameters(), lr=0.1, weight_decay=0.5, decay_vectors=False)
    set_lr(optimizer, 0.3)
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.3]


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


def test_illegal_learning_rates() -> None:
    with pytest.raises(ConfigError, match=r"'poly'.*cosine"):
        LearningRate(base=0.1, schedule="poly", epochs=10)
    with pytest.raises(ConfigError, match="warm-up shorter"):
        LearningRate(base=0.1, schedule="cosine", epochs=10, warmup_epochs=10)
    with pytest.raises(ConfigError, match="not increasing"):
        LearningRate(base=0.1, schedule="multi_step", epochs=10, milestones=(5, 3))


def test_a_parameter_cannot_be_both_weight_and_alpha() -> None:
    weight, alpha = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    assert_disjoint({"conv.weight": weight}, {"normal": alpha})
    with pytest.raises(ConfigError, match=r"cell\.alpha = normal"):
        assert_disjoint({"conv.weight": weight, "cell.alpha": alpha}, {"normal": alpha})
