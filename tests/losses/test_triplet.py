"""The batch-hard triplet loss."""

import math

import pytest
import torch

from nas_reid.losses.triplet import triplet_batch_hard
from tests.oracles.losses import batch_hard

POINTS = torch.tensor([[0, 0], [1, 0], [0, 2], [3, 0]], dtype=torch.float64)
PAIRS = torch.tensor([0, 0, 1, 1])


def test_triplet_values():
    """facts/torchreid.md, item 6, and facts/fastreid.md, 9.9."""
    assert triplet_batch_hard(POINTS, PAIRS, margin=0.3).item() == pytest.approx(0.952776, abs=1e-6)
    assert triplet_batch_hard(POINTS, PAIRS, margin=None).item() == pytest.approx(1.050892, abs=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0, None])
@pytest.mark.parametrize("seed", range(5))
def test_triplet_equals_the_oracle(margin, seed):
    """Random labels, so that some rows have no positive."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(10, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(5, (10,), generator=generator)
    expected = batch_hard(features.tolist(), labels.tolist(), margin)
    assert triplet_batch_hard(features, labels, margin=margin).item() == pytest.approx(expected, abs=1e-12)


def test_a_lone_row_is_left_out_of_the_mean():
    features = torch.cat([POINTS, torch.tensor([[50., 50]], dtype=torch.float64)])
    labels = torch.cat([PAIRS, torch.tensor([2])])
    assert triplet_batch_hard(features, labels, margin=0.3).item() == pytest.approx(0.952776, abs=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_batch_without_triplets_has_no_loss(labels):
    assert math.isnan(triplet_batch_hard(POINTS, torch.tensor(labels), margin=0.3))


@pytest.mark.parametrize("margin", [0.3, None])
def test_gradients(margin):
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(8, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(8) // 2

    def loss(x):
        return triplet_batch_hard(x, labels, margin=margin)

    assert torch.autograd.gradcheck(loss, features)
    assert torch.autograd.gradgradcheck(loss, features)


@pytest.mark.parametrize("margin", [0.3, None])
def test_collapsed_features_have_finite_gradients_of_both_orders(margin):
    features = torch.ones(4, 3, requires_grad=True)
    loss = triplet_batch_hard(features, PAIRS, margin=margin)
    assert loss.item() == pytest.approx(0.3 if margin else math.log(2))
    gradient, = torch.autograd.grad(loss, features, create_graph=True)
    gradient.square().sum().backward()
    assert torch.equal(gradient, torch.zeros(4, 3))
    assert torch.isfinite(features.grad).all()


def test_half_precision_is_computed_in_float32():
    assert triplet_batch_hard((POINTS * 100).bfloat16(), PAIRS, margin=0.3).dtype == torch.float32
