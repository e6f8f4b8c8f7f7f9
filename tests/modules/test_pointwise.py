import copy

import pytest
import torch
from torch import nn

from nas_reid.deploy.inference import folded_norms
from nas_reid.modules.pointwise import PointwiseConv, thinned
from nas_reid.network.complexity import count_macs


@pytest.mark.parametrize("size", [(8, 4), (7, 5), (1, 1), (9, 6)])
@pytest.mark.parametrize(("stride", "groups", "bias"), [(1, 1, False), (2, 1, False), (2, 3, True), (3, 1, True)])
def test_a_pointwise_convolution_is_conv2d_in_value_and_every_derivative(size: tuple[int, int], stride: int,
                                                                         groups: int, bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 9, 1, stride=stride, groups=groups, bias=bias).double()
    ours = PointwiseConv(6, 9, 1, stride=stride, groups=groups, bias=bias).double()
    ours.load_state_dict(plain.state_dict())  # the same names, so that published weights fit
    x = torch.randn(2, 6, *size, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    outcomes = []
    for conv in (plain, ours):
        images = x.clone().requires_grad_()
        y = conv(images)
        slopes = torch.autograd.grad(y.square().sum(), [images, *conv.parameters()], create_graph=True)
        curvature = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), [images, *conv.parameters()])
        outcomes.append([y, *slopes, *curvature])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("stride", "start"), [(2, 0), (1, 1), (3, 1)])
def test_the_gradient_of_a_thinned_map_lies_as_the_map_does(order: torch.memory_format, stride: int,
                                                            start: int) -> None:
    x = torch.randn(2, 6, 7, 5).contiguous(memory_format=order).requires_grad_()
    y = thinned(x, stride, start=start)
    assert torch.equal(y, x[..., start::stride, start::stride])
    slope, = torch.autograd.grad(y.square().sum(), x)
    assert slope.is_contiguous(memory_format=order) and torch.equal(slope[..., start::stride, start::stride], 2 * y)


def test_its_costs_and_its_folded_norm_are_those_of_conv2d() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 1, stride=2, bias=False), nn.BatchNorm2d(8)).eval()
    ours = nn.Sequential(PointwiseConv(3, 8, 1, stride=2, bias=False), copy.deepcopy(plain[1])).eval()
    ours.load_state_dict(plain.state_dict())
    ours[1].running_mean.uniform_()
    assert count_macs(ours, (7, 6)) == count_macs(plain, (7, 6)) == 3 * 8 * 4 * 3
    images = torch.randn(2, 3, 7, 6)
    folded = folded_norms(ours, image_size=(7, 6))
    assert isinstance(folded[1], nn.Identity) and folded[0].bias is not None
    torch.testing.assert_close(folded(images), ours(images))
