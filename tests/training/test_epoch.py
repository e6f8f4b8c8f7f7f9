"""An epoch against the same steps written out in plain PyTorch: accumulation, clipping, learning rate, average."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nas_reid.data.batches import Batch
from nas_reid.errors import NonFiniteError
from nas_reid.losses.objective import Objective
from nas_reid.network.model import Output
from nas_reid.training.ema import WeightAverage
from nas_reid.training.epoch import train_one_epoch
from nas_reid.training.optim import LearningRate, build_optimizer, parameter_groups
from nas_reid.training.training import Training
from tests.same_batches import SameBatches


class Classifier(nn.Linear):
    """Logits of "images" [B, 3]."""

    def forward(self, images: Tensor, modality: Tensor | None = None) -> Output:
        return Output(images, super().forward(images))


def training(*, accumulate: int = 1, clip: float = 0.0, ema: float = 0.0) -> Training:
    torch.manual_seed(0)
    network = Classifier(3, 2).double()
    optimizer = build_optimizer("sgd", parameter_groups(network.named_parameters(), weight_decay=0.0), lr=0.1)
    objective = Objective({"cross_entropy": {"smoothing": 0.0}}, num_classes=2, width=2)
    average = WeightAverage(network, ema) if ema else None
    return Training(network, objective, optimizer, LearningRate(base=0.1, schedule="cosine", epochs=2), None, average,
                    accumulate, clip)


def data(batches: int, size: int) -> SameBatches:
    generator = torch.Generator().manual_seed(1)
    return SameBatches(Batch(torch.randn(size, 3, generator=generator, dtype=torch.float64),
                             torch.randint(2, (size,), generator=generator), torch.zeros(size, dtype=torch.int64))
                       for _ in range(batches))


def run(one: Training, batches: SameBatches, epoch: int = 0) -> Tensor:
    train_one_epoch(one, batches, epoch, seed=0, name="train")
    return one.network.weight.detach()


def by_hand(steps: list[list[Batch]], *, epoch: int = 0, clip: float = 0.0) -> tuple[nn.Linear, list[Tensor]]:
    """The network after steps of one large batch each, and its weight after every step."""
    torch.manual_seed(0)
    network, weights = nn.Linear(3, 2).double(), []
    for number, parts in enumerate(steps):
        loss = sum(nn.functional.cross_entropy(network(part.images), part.labels) for part in parts) / len(parts)
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        factor = min(1.0, clip / norm.item()) if clip else 1.0
        rate = 0.1 * (1 + torch.cos(torch.tensor(torch.pi * (epoch + number / len(steps)) / 2)).item()) / 2
        with torch.no_grad():
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter -= rate * factor * gradient
        weights.append(network.weight.detach().clone())
    return network, weights


@pytest.mark.parametrize(("accumulate", "count", "clip", "epoch"), [
    (1, 3, 0.0, 0), (1, 3, 0.0, 1), (3, 6, 0.0, 0), (3, 5, 0.0, 1), (2, 4, 1e-3, 0), (4, 2, 0.05, 1)])
def test_steps_are_those_of_plain_pytorch(accumulate: int, count: int, clip: float, epoch: int) -> None:
    batches = data(count, 4)
    steps = [batches[first:first + accumulate] for first in range(0, count, accumulate)]
    expected, _ = by_hand(steps, epoch=epoch, clip=clip)
    one = training(accumulate=accumulate, clip=clip)
    torch.testing.assert_close(run(one, batches, epoch), expected.weight.detach(), rtol=1e-6, atol=0)
    torch.testing.assert_close(one.network.bias.detach(), expected.bias.detach(), rtol=1e-6, atol=0)
    assert one.optimizer.param_groups[0]["lr"] == pytest.approx(one.rate.at(epoch + (len(steps) - 1) / len(steps)))
    assert all(parameter.grad is None for parameter in one.network.parameters())


def test_the_average_follows_every_step_and_no_batch() -> None:
    batches, one = data(4, 4), training(accumulate=2, ema=0.999)
    start = one.network.weight.detach().clone()
    _, (first, second) = by_hand([batches[:2], batches[2:]])
    run(one, batches)
    after_first = start + (1 - 1 / 10) * (first - start)
    torch.testing.assert_close(one.average.network.weight, after_first + (1 - 2 / 11) * (second - after_first),
                               rtol=1e-6, atol=0)


def test_losses_are_recorded_under_the_commands_name_as_means() -> None:
    batches = data(2, 4)
    record = train_one_epoch(training(accumulate=2), batches, 0, seed=0, name="train")
    network, _ = by_hand([])
    expected = [nn.functional.cross_entropy(network(batch.images), batch.labels).item() for batch in batches]
    assert record["train/loss"] == record["train/loss_cross_entropy"] == pytest.approx(sum(expected) / 2, rel=1e-6)
    assert set(record) == {"train/loss", "train/loss_cross_entropy", "time/load_share"}


def test_a_loss_that_is_no_number_ends_it() -> None:
    batches = data(1, 4)
    batches[0].images[0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match="train/loss became nan at epoch 1, step 1"):
        run(training(), batches)


class WithPaths(nn.Linear):
    """A trunk that keeps the rates it was given."""

    rates: list[float]

    def set_drop_path(self, rate: float) -> None:
        self.rates = [*getattr(self, "rates", []), rate]


def test_drop_path_grows_to_its_rate_while_the_trunk_is_frozen_at_first() -> None:
    one = replace(training(), drop_path=0.5, freeze_trunk_epochs=1,
                  rate=LearningRate(base=0.1, schedule="constant", epochs=3))
    one.network.trunk, frozen = WithPaths(1, 1), []
    for epoch in range(3):
        run(one, data(1, 4), epoch)
        frozen.append(one.network.trunk_is_frozen)
    assert one.network.trunk.rates == [0.0, 0.25, 0.5] and frozen == [True, False, False]
