"""The moving average of the weights against the formula, step by step."""

import pytest
import torch
from torch import nn

from nas_reid.training.ema import WeightAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).double()


def train(live: nn.Module) -> None:
    """Weights, running statistics and the counter move."""
    live(torch.randn(5, 3, 2, 2, dtype=torch.float64)).square().sum().backward()
    with torch.no_grad():
        for parameter in live.parameters():
            parameter -= 0.1 * parameter.grad
            parameter.grad = None


@pytest.mark.parametrize(("decay", "steps"), [(0.9, 3), (0.2, 3), (0.0, 2)])
def test_average_is_the_formula(decay: float, steps: int) -> None:
    live = network()
    average, expected = WeightAverage(live, decay), {name: value.clone() for name, value in live.state_dict().items()}
    for step in range(steps):
        train(live)
        average.update()
        moved = min(decay, (1 + step) / (10 + step))
        for name, value in live.state_dict().items():
            expected[name] = value.clone() if name.endswith("num_batches_tracked") else (
                moved * expected[name] + (1 - moved) * value)
    found = average.network.state_dict()
    assert found.keys() == expected.keys() and "1.running_mean" in found
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-14)
    assert int(found["1.num_batches_tracked"]) == steps
    same = torch.equal(found["0.weight"], live.state_dict()["0.weight"])
    assert same is (decay == 0.0)


def test_average_is_apart_from_the_network_and_does_not_learn() -> None:
    live = network()
    average = WeightAverage(live, 0.9)
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    assert all(parameter.requires_grad for parameter in live.parameters())
    assert live.training and not average.network.training
    before = average.network[0].weight.clone()
    train(live)
    assert torch.equal(average.network[0].weight, before)


def test_continues_bit_for_bit() -> None:
    live = network()
    average = WeightAverage(live, 0.9)
    train(live)
    average.update()
    resumed = network()
    other = WeightAverage(resumed, 0.9)
    resumed.load_state_dict(live.state_dict())  # the tensors that the average looked up are filled in place
    other.load_state_dict({name: state if name == "updates" else {key: value.clone() for key, value in state.items()}
                           for name, state in average.state_dict().items()})
    torch.manual_seed(1)
    train(live)
    torch.manual_seed(1)
    train(resumed)
    for each in (average, other):
        each.update()
    assert all(torch.equal(one, two) for one, two in
               zip(average.network.state_dict().values(), other.network.state_dict().values(), strict=True))
