"""Instance norm in channels-last memory is what it is by definition."""

import pytest
import torch

from nas_reid.modules.instance_norm import InstanceNorm, instance_norm


def make_maps(*shape, seed=0, dtype=torch.float64):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return maps.contiguous(memory_format=torch.channels_last)


def derivatives(norm, x, *affine):
    """Output, first and second derivatives of a norm."""
    inputs = [value.clone().requires_grad_() for value in (x, *affine)]
    output = norm(inputs[0], *inputs[1:])
    slopes = torch.autograd.grad((output * make_maps(*output.shape, seed=1)).sum(), inputs, create_graph=True)
    curvatures = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), inputs, allow_unused=True,
                                     materialize_grads=True)
    return [output, *slopes, *curvatures]


def by_definition(x, weight=1.0, bias=0.0):
    """Each map by itself; torch's own, of a single image in this memory, has wrong gradients."""
    maps = [(one - one.mean()) / (one.var(correction=0) + 1e-5).sqrt() for one in x.flatten(0, 1)]
    return (torch.stack(maps).view(x.shape).movedim(1, -1) * weight + bias).movedim(-1, 1)


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 1, 1, 2), (1, 4, 3, 1), (3, 2, 8, 8)])
@pytest.mark.parametrize("is_affine", [False, True])
def test_values_and_derivatives_are_those_of_the_definition(shape, is_affine):
    affine = [make_maps(1, shape[1], 1, 1, seed=seed).flatten() for seed in (2, 3)] if is_affine else []
    for ours, expected in zip(derivatives(instance_norm, make_maps(*shape), *affine),
                              derivatives(by_definition, make_maps(*shape), *affine), strict=True):
        assert (ours - expected).norm() <= 1e-12 * max(1.0, expected.norm())


def test_a_map_stays_in_its_memory():
    for norm in (instance_norm, InstanceNorm(3), InstanceNorm(3, affine=True)):
        x = make_maps(2, 3, 5, 4, dtype=torch.float32).requires_grad_()
        y = norm(x)
        (gradient,) = torch.autograd.grad(y, x, make_maps(2, 3, 5, 4, dtype=torch.float32))
        assert all(value.is_contiguous(memory_format=torch.channels_last) and not value.is_contiguous()
                   for value in (y, gradient))
        assert norm(x.contiguous()).is_contiguous()


def test_maps_far_from_zero_lose_no_digits():
    x = make_maps(2, 4, 16, 8, dtype=torch.float32) + 100
    assert (instance_norm(x) - by_definition(x.double())).abs().max() < 1e-4


def test_a_single_pixel_cannot_be_normalised():
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        instance_norm(make_maps(2, 3, 1, 1))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # torch's own looks at the size
def test_a_trace_holds_operations_of_torch_alone(tmp_path):
    x = make_maps(2, 3, 5, 4, dtype=torch.float32)
    torch.jit.trace(InstanceNorm(3), x, check_trace=False).save(tmp_path / "norm.pt")
    assert torch.allclose(torch.jit.load(tmp_path / "norm.pt")(x), by_definition(x), atol=1e-6)
