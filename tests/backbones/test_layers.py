"""Attention, gates and norms of residual networks against slow or hand-computed forms."""

import pytest
import torch
from torch import nn

from nas_reid.backbones.blocks import SqueezeExcitation
from nas_reid.backbones.non_local import NonLocal
from nas_reid.backbones.norms import InstanceBatchNorm, batch_norm
from nas_reid.backbones.split_attention import SplitAttentionConv
from nas_reid.network.complexity import count_parameters


@pytest.mark.parametrize(("channels", "parameters"), [(512, 3_587), (1024, 7_171)])
def test_a_non_local_block_of_width_one_has_the_published_size(channels: int, parameters: int) -> None:
    assert count_parameters(NonLocal(channels, 1)) == parameters


def test_a_new_non_local_block_is_the_identity() -> None:
    x = torch.randn(2, 8, 3, 4)
    assert torch.equal(NonLocal(8, 4)(x), x)


@pytest.mark.parametrize("inner", [1, 4, 20])
def test_non_local_equals_the_sum_over_all_positions(inner: int) -> None:
    """Both orders of multiplication: inner widths below and above the number of positions."""
    block = NonLocal(6, inner).double().eval()
    nn.init.normal_(block.W[1].weight)
    x = torch.randn(2, 6, 2, 3, dtype=torch.float64)
    with torch.no_grad():
        g, theta, phi = (layer(x).flatten(2) for layer in (block.g, block.theta, block.phi))
        y = torch.zeros_like(g)
        for i in range(6):
            for j in range(6):
                y[:, :, i] += (theta[:, :, i] * phi[:, :, j]).sum(1, keepdim=True) * g[:, :, j] / 6
        torch.testing.assert_close(block(x), x + block.W(y.reshape(2, inner, 2, 3)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("groups", "radix", "dilation"), [(1, 2, 1), (2, 2, 2), (1, 4, 1)])
def test_split_attention_equals_its_definition_group_by_group(groups: int, radix: int, dilation: int) -> None:
    channels = 8
    layer = SplitAttentionConv(channels, groups=groups, radix=radix, dilation=dilation, norm=batch_norm,
                               site="conv2").double().eval()
    x = torch.randn(2, channels, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        maps = layer.bn0(layer.conv(x)).relu()
        splits = [maps[:, r * channels:(r + 1) * channels] for r in range(radix)]
        logits = layer.fc2(layer.bn1(layer.fc1(sum(splits).mean((2, 3), keepdim=True))).relu())
        each = channels // groups
        expected = torch.zeros_like(x)
        for group in range(groups):
            chosen = slice(group * each, (group + 1) * each)
            rows = torch.stack([logits[:, (group * radix + r) * each:(group * radix + r + 1) * each]
                                for r in range(radix)])
            attention = rows.exp() / rows.exp().sum(0)
            for r in range(radix):
                expected[:, chosen] += attention[r] * splits[r][:, chosen]
        torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-12)
    assert layer.fc1.out_channels == 32


def test_squeeze_excitation_gates_channels_without_biases() -> None:
    layer = SqueezeExcitation(32)
    assert [name for name, _ in layer.named_parameters()] == ["fc.0.weight", "fc.2.weight"]
    nn.init.zeros_(layer.fc[2].weight)
    x = torch.randn(2, 32, 3, 2)
    torch.testing.assert_close(layer(x), x / 2)


def test_ibn_a_normalises_one_half_by_image_and_the_other_by_batch() -> None:
    layer, x = InstanceBatchNorm(5), torch.randn(4, 5, 6, 3)
    y = layer(x)
    torch.testing.assert_close(y[:, :2].mean((2, 3)), torch.zeros(4, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(y[:, 2:].mean((0, 2, 3)), torch.zeros(3), atol=1e-6, rtol=0)
    assert y[:, 2:].mean((2, 3)).abs().min() > 1e-4
