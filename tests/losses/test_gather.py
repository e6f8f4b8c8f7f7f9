"""The batch of all processes; what several find is tested in ``tests/parallel``."""

import torch

from nas_reid.losses.gather import gather_batch
from nas_reid.losses.loss import LossInput


def test_one_process_gathers_nothing() -> None:
    batch = LossInput(torch.ones(2, 3), torch.ones(2, 4), torch.tensor([0, 1]))
    assert gather_batch(batch) is batch
