"""The convolution with its own backward pass against autograd's."""

import pytest
import torch
from torch.nn import functional as F

from search_spaces.auto_reid.grouped_conv import grouped_conv


def make_case(*, kernel, groups, channels, height, width, sources, targets):
    generator = torch.Generator().manual_seed(0)
    repeated = channels * targets
    x = torch.randn(2, channels, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(repeated, repeated // groups, kernel, kernel, generator=generator, dtype=torch.float64)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_(), weight.requires_grad_()


def reference(x, weight, *, groups, stride, padding, dilation, sources, targets):
    per_source = x.unflatten(1, (sources, 1, -1)).expand(-1, -1, targets, -1, -1, -1)
    return F.conv2d(per_source.flatten(1, 3), weight, None, stride, padding, dilation, groups)


@pytest.mark.parametrize(("height", "width"), [(8, 6), (7, 5), (2, 1)])
@pytest.mark.parametrize(("sources", "targets"), [(1, 1), (2, 3)])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (3, 1, 2), (3, 2, 2), (5, 1, 2),
                                                            (5, 2, 2), (1, 1, 1)])
def test_value_and_derivatives(kernel, stride, dilation, sources, targets, height, width):
    channels = 6
    groups = channels * targets if kernel > 1 else sources * targets
    x, weight = make_case(kernel=kernel, groups=groups, channels=channels, height=height, width=width,
                          sources=sources, targets=targets)
    arguments = {"groups": groups, "stride": stride, "padding": dilation * (kernel // 2), "dilation": dilation,
                 "sources": sources, "targets": targets}
    results = []
    for conv in (reference, grouped_conv):
        output = conv(x, weight, **arguments)
        gradients = torch.autograd.grad(output.sin().sum(), (x, weight), create_graph=True)
        second = torch.autograd.grad(sum(gradient.square().sum() for gradient in gradients), (x, weight))
        results.append([output, *gradients, *second])
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_frozen_weights_keep_no_input():
    x, weight = make_case(kernel=3, groups=6, channels=6, height=8, width=6, sources=1, targets=1)
    arguments = {"groups": 6, "padding": 2, "dilation": 2}
    expected, = torch.autograd.grad(grouped_conv(x, weight, **arguments).sin().sum(), x)
    shapes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: shapes.append(tensor.shape) or tensor, lambda t: t):
        output = grouped_conv(x, weight.detach(), **arguments)
    assert shapes == [weight.shape]
    torch.testing.assert_close(torch.autograd.grad(output.sin().sum(), x)[0], expected)


def test_follows_autocast():
    x, weight = make_case(kernel=3, groups=6, channels=6, height=8, width=6, sources=1, targets=1)
    x, weight = x.detach().float().requires_grad_(), weight.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = grouped_conv(x, weight, groups=6, padding=1)
    assert output.dtype == torch.bfloat16
    output.float().sum().backward()
    assert x.grad.dtype == weight.grad.dtype == torch.float32
