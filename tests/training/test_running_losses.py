"""Losses of an epoch: right means, late reads, and a full name for what is not finite."""

import pytest
import torch

from nas_reid.errors import NonFiniteError
from nas_reid.training.running_losses import RunningLosses


def test_means_over_the_steps_of_each_quantity() -> None:
    losses = RunningLosses(1, every=2)
    assert losses.means() == {}
    assert not losses.add(0, {"a": torch.tensor(1.0)})
    assert losses.means() == {}  # nothing has been fetched yet
    assert losses.add(1, {"a": torch.tensor(3.0), "b": torch.tensor(5.0, dtype=torch.float64)})
    assert losses.means() == {"a": 2.0, "b": 5.0}
    losses.add(2, {"a": torch.tensor(5.0)})
    losses.read()
    losses.read()  # nothing is counted twice
    assert losses.means() == {"a": 3.0, "b": 5.0}


def test_what_is_kept_does_not_hold_the_graph() -> None:
    losses = RunningLosses(1)
    weight = torch.ones(1, requires_grad=True)
    losses.add(0, {"a": (2 * weight).sum()})
    assert not any(value.requires_grad for _, _, value in losses._pending)
    losses.read()
    assert losses.means() == {"a": 2.0}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_named_with_epoch_and_step(bad: float) -> None:
    losses = RunningLosses(7, every=3)
    losses.add(0, {"search/triplet": torch.tensor(1.0)})
    losses.add(1, {"search/cross_entropy": torch.tensor(2.0), "search/triplet": torch.tensor(bad)})
    with pytest.raises(NonFiniteError, match=rf"search/triplet became {bad} at epoch 7, step 2; the last good "
                                             r"checkpoint is kept.*Lower the learning rate"):
        losses.add(2, {"search/triplet": torch.tensor(bad)})  # the first bad one is reported


def test_a_value_beyond_half_precision_is_still_finite() -> None:
    losses = RunningLosses(1, every=1)
    losses.add(0, {"a": torch.tensor(60000.0, dtype=torch.float16), "b": torch.tensor(3e38)})
    assert losses.means()["a"] == pytest.approx(60000, rel=1e-3)


def test_the_end_of_an_epoch_reads_what_is_left() -> None:
    losses = RunningLosses(2, every=100)
    losses.add(0, {"a": torch.tensor(float("nan"))})
    with pytest.raises(NonFiniteError, match="a became nan at epoch 2, step 1"):
        losses.read()


def test_spoilt_parameters_are_named_at_the_end_of_an_epoch() -> None:
    network, losses = torch.nn.Linear(2, 2), RunningLosses(3)
    losses.add(0, {"a": torch.tensor(1.5)})
    assert losses.finish(network) == {"a": 1.5}
    with torch.no_grad():
        network.bias[1] = float("inf")
    with pytest.raises(NonFiniteError, match="bias is not finite after epoch 3; the last good checkpoint is kept"):
        losses.finish(torch.nn.Linear(1, 1), network)
