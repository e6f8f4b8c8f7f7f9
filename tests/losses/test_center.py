"""Center loss: by hand, and its state."""

import pytest
import torch

from nas_reid.losses.center import Center
from nas_reid.losses.loss import LossInput

FEATURES = torch.tensor([[1., 2], [3, 4], [5, 6]])
BATCH = LossInput(FEATURES, FEATURES, torch.tensor([0, 2, 0]))


def make() -> Center:
    loss = Center(rate=0.5)
    loss.allocate(3, 2)
    return loss


def test_by_hand():
    loss = make()
    assert loss(BATCH).item() == pytest.approx((5 + 25 + 61) / 6)
    loss.update(BATCH)
    # Two images of identity 0: 0.5 * (1 + 5, 2 + 6) / (1 + 2); one of identity 2: 0.5 * (3, 4) / 2; none of 1.
    assert torch.allclose(loss.centers, torch.tensor([[1, 4 / 3], [0, 0], [0.75, 1.0]]))
    expected = (0 + (2 / 3) ** 2 + 2.25 ** 2 + 9 + 16 + (14 / 3) ** 2) / 6
    assert loss(BATCH).item() == pytest.approx(expected)


def test_the_gradient_is_that_of_the_features_alone():
    loss, features = make(), FEATURES.clone().requires_grad_()
    loss(BATCH._replace(features=features)).backward()
    assert torch.allclose(features.grad, FEATURES / 3)
    assert not list(loss.parameters()) and list(loss.state_dict()) == ["centers"]


def test_only_an_update_changes_the_centers():
    loss = make()
    loss(BATCH)
    assert not loss.centers.any()
    for _ in range(60):
        loss.update(BATCH)
    assert torch.allclose(loss.centers[[0, 2]], torch.tensor([[3., 4], [3, 4]]), atol=1e-4)
    copy = make()
    copy.load_state_dict(loss.state_dict())
    assert copy(BATCH) == loss(BATCH)
