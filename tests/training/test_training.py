"""A step of a training: accumulation, clipping, and what is kept."""

import pytest
import torch
from torch import nn

from nas_reid.errors import ConfigError
from nas_reid.losses.objective import Objective
from nas_reid.training.ema import WeightAverage
from nas_reid.training.optim import LearningRate, build_optimizer, parameter_groups
from nas_reid.training.training import Training, require_drop_path, steps_in_epoch


def training(*, accumulate: int = 1, clip: float = 0.0, ema: float = 0.0) -> Training:
    torch.manual_seed(0)
    network = nn.Linear(3, 2).double()
    optimizer = build_optimizer("sgd", parameter_groups(network.named_parameters(), weight_decay=0.0), lr=0.1)
    rate = LearningRate(base=0.1, schedule="cosine", epochs=2)
    objective = Objective({"cross_entropy": {}}, num_classes=2, width=2)
    average = WeightAverage(network, ema) if ema else None
    return Training(network, objective, optimizer, rate, None, average, accumulate, clip)


def data(batches: int, size: int) -> torch.Tensor:
    return torch.randn(batches, size, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def run(one: Training, batches: torch.Tensor, epoch: int = 0) -> torch.Tensor:
    for number, batch in enumerate(batches):
        one.backward(one.network(batch).square().mean(), epoch, number, batches=len(batches))
    return one.network.weight.detach()


def test_accumulated_batches_make_the_step_of_one_large_batch() -> None:
    small = data(6, 4)
    accumulated = run(training(accumulate=3), small)
    torch.testing.assert_close(accumulated, run(training(), small.view(2, 12, 3)), rtol=1e-12, atol=0)
    assert not torch.allclose(accumulated, run(training(), small))


def test_the_last_step_of_an_epoch_takes_what_is_left() -> None:
    small, expected = data(5, 4), training()
    for step, part in enumerate((small[:3].reshape(12, 3), small[3:].reshape(8, 3))):
        expected.backward(expected.network(part).square().mean(), 0, step, batches=2)
    torch.testing.assert_close(run(training(accumulate=3), small), expected.network.weight.detach(), rtol=1e-12, atol=0)
    assert [steps_in_epoch(batches, 3) for batches in (1, 3, 4, 6)] == [1, 1, 2, 2]


def test_learning_rate_follows_the_steps() -> None:
    one = training(accumulate=2)
    run(one, data(4, 4), epoch=1)
    assert one.optimizer.param_groups[0]["lr"] == pytest.approx(one.rate.at(1.5))


def test_gradient_is_clipped_as_a_whole() -> None:
    one, before = training(accumulate=2, clip=1e-3), training().network.weight.detach()
    moved = torch.cat([(run(one, data(2, 4)) - before).flatten(), one.network.bias.detach() - training().network.bias])
    assert moved.norm().item() == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_drop_path_is_refused_where_there_are_no_paths() -> None:
    require_drop_path(nn.Linear(1, 1), 0.0)
    with pytest.raises(ConfigError, match=r"^drop_path=0\.2: .* no paths to drop; use drop_path=0"):
        require_drop_path(nn.Linear(1, 1), 0.2)


def test_what_is_evaluated_is_the_average_and_all_of_it_continues() -> None:
    one = training(ema=0.5)
    run(one, data(3, 4))
    assert one.evaluated is one.average.network and training().evaluated is not None
    assert not torch.equal(one.evaluated.weight, one.network.weight)
    other = training(ema=0.5)
    other.load_state_dict(one.state_dict())
    assert torch.equal(run(one, data(3, 4), 1), run(other, data(3, 4), 1))
    assert torch.equal(one.evaluated.weight, other.evaluated.weight)
    assert set(training().state_dict()) == {"network", "optimizer", "objective"}
