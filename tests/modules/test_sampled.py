"""A sampled mixture has the value and the derivatives of the whole one."""

import pytest
import torch

from nas_reid.modules.sampled import mixture, sampled_mixture


def derivatives(mix, chosen):
    """Value, and first and second derivatives by the straight-through weights and by the input."""
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    soft = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    weights = torch.eye(3, dtype=torch.float64)[chosen] + (soft - soft.detach())
    value = mix(weights, [x.exp, x.sin, lambda: x ** 3])
    slopes = torch.autograd.grad(value.square().sum(), [soft, x], create_graph=True)
    return [value, *slopes, *torch.autograd.grad(sum(slope.sin().sum() for slope in slopes), [soft, x])]


@pytest.mark.parametrize("chosen", range(3))
@pytest.mark.parametrize("all_gradients", [False, True])
def test_value_and_gradients_are_those_of_the_mixture(chosen, all_gradients):
    def sampled(weights, ops):
        return sampled_mixture(weights, ops, chosen, all_gradients=all_gradients)

    (value, of_weights, of_x, *_), (expected, all_weights, all_x, *_) = (derivatives(mix, chosen)
                                                                         for mix in (sampled, mixture))
    if not all_gradients:  # the others get none
        all_weights = all_weights * torch.eye(3)[chosen]
    for ours, whole in ((value, expected), (of_weights, all_weights), (of_x, all_x)):
        assert (ours - whole).abs().max() <= 1e-12 * whole.abs().max()


@pytest.mark.parametrize("chosen", range(3))
def test_second_derivatives_are_those_of_the_product(chosen):
    def sampled(weights, ops):
        return sampled_mixture(weights, ops, chosen, all_gradients=False)

    def product(weights, ops):
        return weights[chosen] * ops[chosen]()

    for ours, expected in zip(derivatives(sampled, chosen), derivatives(product, chosen), strict=True):
        assert (ours - expected).abs().max() <= 1e-12 * expected.abs().max()
