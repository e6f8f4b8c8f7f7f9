"""What a training keeps, and what it refuses."""

import pytest
import torch
from torch import nn

from nas_reid.errors import ConfigError
from nas_reid.training.training import require_drop_path, steps_in_epoch
from tests.training.test_epoch import data, run, training


def test_drop_path_is_refused_where_there_are_no_paths() -> None:
    require_drop_path(nn.Linear(1, 1), 0.0)
    with pytest.raises(ConfigError, match=r"^drop_path=0\.2: .* no paths to drop; use drop_path=0"):
        require_drop_path(nn.Linear(1, 1), 0.2)


def test_an_epochs_last_step_takes_what_is_left() -> None:
    assert [steps_in_epoch(batches, 3) for batches in (1, 3, 4, 6)] == [1, 1, 2, 2]


def test_what_is_kept_is_the_average_and_all_of_it_continues() -> None:
    one, plain = training(ema=0.5), training()
    run(one, data(3, 4))
    assert one.network_to_keep is one.average.network and plain.network_to_keep is plain.network
    assert not torch.equal(one.network_to_keep.weight, one.network.weight)
    other = training(ema=0.5)
    other.load_state_dict(one.state_dict())
    assert torch.equal(run(one, data(3, 4), 1), run(other, data(3, 4), 1))
    assert torch.equal(one.network_to_keep.weight, other.network_to_keep.weight)
    assert set(plain.state_dict()) == {"network", "optimizer", "objective"}
