"""Poolings: published values, limits, and gradients where a channel is dead."""

import pytest
import torch

from nas_reid.modules.pooling import POOLINGS, GeneralisedMean

SQUARE = torch.tensor([[[[1., 2], [3, 4]]]], dtype=torch.float64)
MAPS = torch.randn(4, 6, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("maps", "p", "expected"), [
    (SQUARE, 3, 2.924018), (SQUARE, 1, 2.5), (SQUARE, 6.5, 3.308696),
    (torch.tensor([[[[-1., 0], [0, 2]]]], dtype=torch.float64), 3, 1.259921),
    (torch.zeros(1, 1, 2, 2, dtype=torch.float64), 3, 0.000001),
])
@pytest.mark.parametrize("learn", [False, True])
def test_generalised_mean_values(maps, p, expected, learn):
    """facts/fastreid.md, 9.3."""
    assert GeneralisedMean(p, learn=learn).double()(maps).item() == pytest.approx(expected, abs=1e-6)
    # The tolerance above is as large as what an empty channel gives.
    assert GeneralisedMean(p, learn=learn)(torch.zeros(1, 1, 2, 2)).item() == pytest.approx(1e-6, rel=1e-5)


def test_the_power_is_learnt_where_it_is_a_parameter():
    learnt, fixed = GeneralisedMean(3, learn=True).double(), GeneralisedMean(3, learn=False)
    assert learnt.p.shape == (1,) and not list(fixed.parameters()) and not fixed.state_dict()
    assert torch.autograd.gradcheck(lambda x, p: torch.func.functional_call(learnt, {"p": p}, (x,)),
                                    (MAPS.abs().requires_grad_(), torch.full((1,), 3.0, dtype=torch.float64,
                                                                             requires_grad=True)))


@pytest.mark.parametrize("p", [3.0, 6.5, 20.0])
def test_no_power_leaves_the_range_of_float32(p):
    """1e-6 to the 6.5 is no float32, nor is 1000 to the 20."""
    maps = torch.tensor([0., 0.5, 1000.]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2).clone().requires_grad_()
    pool = GeneralisedMean(p, learn=True)
    pooled = pool(maps)
    pooled.sum().backward()
    assert torch.allclose(pooled, torch.tensor([[1e-6, 0.5, 1000]]))
    assert maps.grad.isfinite().all() and pool.p.grad.isfinite().all()


def test_half_precision_is_computed_in_float32_and_given_back():
    pooled = POOLINGS["gem"](1, 3.0)((SQUARE * 50).half())
    assert pooled.dtype == torch.float16 and pooled.item() == pytest.approx(146.2, rel=1e-3)


def test_average_max_and_their_sum():
    average, largest, both = (POOLINGS[name](6, 3.0)(MAPS) for name in ("average", "max", "avg_max"))
    assert torch.allclose(average, MAPS.mean((2, 3))) and torch.equal(largest, MAPS.amax((2, 3)))
    assert torch.equal(both, average + largest)


def test_attention_starts_as_the_average_and_can_become_the_maximum():
    attention = POOLINGS["attention"](6, 3.0).double()
    assert torch.allclose(attention(MAPS), MAPS.mean((2, 3)))
    with torch.no_grad():
        attention.logits.weight.copy_(1000 * torch.eye(6)[..., None, None])
    assert torch.allclose(attention(MAPS), MAPS.amax((2, 3)))
    weights = torch.nn.functional.conv2d(MAPS, attention.logits.weight * 1e-3).flatten(2).softmax(2)
    with torch.no_grad():
        attention.logits.weight.mul_(1e-3)
    assert torch.allclose(attention(MAPS), (weights * MAPS.flatten(2)).sum(2))


@pytest.mark.parametrize("name", POOLINGS)
def test_every_pooling_takes_maps_of_any_size(name):
    pool = POOLINGS[name](6, 3.0).double()
    assert pool(MAPS).shape == pool(MAPS[:, :, :1, :1]).shape == (4, 6)
