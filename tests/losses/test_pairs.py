"""Circle and CosFace over pairs."""

import math

import pytest
import torch

from nas_reid.losses.loss import LossInput
from nas_reid.losses.pairs import CirclePairs, CosFacePairs, circle_pairs, cosface_pairs
from tests.oracles.metric_losses import pair_softmax

POINTS = torch.tensor([[1, 0], [.8, .6], [0, 1], [-.6, .8]], dtype=torch.float64)
PAIRS = torch.tensor([0, 0, 1, 1])


def test_published_values():
    """facts/fastreid.md, 9.9."""
    assert circle_pairs(POINTS, PAIRS, margin=0.25, scale=128).item() == pytest.approx(17.627317, abs=1e-6)
    assert circle_pairs(POINTS, PAIRS, margin=0.25, scale=1).item() == pytest.approx(1.118732, abs=1e-6)
    assert cosface_pairs(POINTS, PAIRS, margin=0.25, scale=1).item() == pytest.approx(0.802390, abs=1e-6)


@pytest.mark.parametrize(("loss", "kind"), [(circle_pairs, "circle"), (cosface_pairs, "cosface")])
@pytest.mark.parametrize("seed", range(3))
def test_they_equal_the_oracle(loss, kind, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(10, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(5, (10,), generator=generator)
    expected = pair_softmax(features.tolist(), labels.tolist(), 0.3, 8.0, kind)
    assert loss(features, labels, margin=0.3, scale=8.0).item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("loss", [circle_pairs, cosface_pairs])
def test_an_anchor_without_a_positive_does_not_count_and_harms_no_gradient(loss):
    features = torch.cat([POINTS, torch.tensor([[.1, .3]], dtype=torch.float64)]).requires_grad_()
    value = loss(features, torch.tensor([0, 0, 1, 1, 2]), margin=0.25, scale=4.0)
    value.backward()
    assert value.isfinite() and features.grad.isfinite().all() and features.grad[4].abs().sum() > 0
    assert math.isnan(loss(POINTS, torch.arange(4), margin=0.25, scale=4.0))


def test_cosface_can_be_differentiated_twice():
    features = POINTS.clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: cosface_pairs(x, PAIRS, margin=0.25, scale=4.0), features)


def test_the_pace_of_circle_is_no_part_of_the_gradient():
    """One positive and one negative per anchor: d softplus(γ(n - p)) by hand at the margin's own factors."""
    assert CirclePairs.has_constant_factors and not CosFacePairs.has_constant_factors
    features = torch.tensor([[1., 0], [.8, .6], [0, 1]], dtype=torch.float64, requires_grad=True)
    circle_pairs(features, torch.tensor([0, 0, 1]), margin=0.25, scale=1.0).backward()
    angles = torch.tensor([0, math.atan2(.6, .8), math.pi / 2], dtype=torch.float64, requires_grad=True)
    cos = torch.cos(angles[:, None] - angles[None, :])
    terms = []
    for anchor, other in ((0, 1), (1, 0)):
        p, n = cos[anchor, other], cos[anchor, 2]
        pace_p, pace_n = 1.25 - p.item(), n.item() + 0.25
        terms.append(torch.nn.functional.softplus(pace_n * (n - 0.25) - pace_p * (p - 0.75)))
    (sum(terms) / 2).backward()
    tangent = torch.stack([-angles.detach().sin(), angles.detach().cos()], 1)
    assert torch.allclose((features.grad * tangent).sum(1), angles.grad, atol=1e-12)


def test_as_losses():
    batch = LossInput(POINTS.half(), POINTS, PAIRS)
    assert CirclePairs()(batch).dtype == torch.float32
    assert CosFacePairs(scale=1)(batch).item() == pytest.approx(0.802390, abs=1e-3)
