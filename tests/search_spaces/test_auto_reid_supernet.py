"""The plain supernet: gradients, sampled execution, odd sizes, memory formats."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from nas_reid.errors import ConfigError
from nas_reid.nas.path import path_of
from nas_reid.search_space import Mix
from search_spaces.auto_reid.ops import OPS, OpSettings, Zero
from search_spaces.auto_reid.part_aware import (
    PublishedPartAware,
    average_stripes,
    broadcast_stripes,
    stripe_bounds,
)
from tests.oracles.part_aware import part_vectors
from tests.search_spaces.auto_reid_spaces import hard_mixes, make_alphas, make_images, make_space, softmax_mixes


def build(space):
    torch.manual_seed(0)
    return space.supernet().double()


def gradients(output, tensors):
    weight = torch.randn(output.shape, generator=torch.Generator().manual_seed(3), dtype=output.dtype)
    return torch.autograd.grad((output * weight).sum(), tensors, allow_unused=True)


@pytest.mark.parametrize("attention", ["published", "qkv"])
@pytest.mark.parametrize("primitives", ["reid", "darts"])
def test_every_alpha_and_every_weight_receives_gradient(primitives, attention):
    space = make_space(primitives=primitives, part_attention=attention)
    supernet, alphas = build(space), make_alphas(space)
    output = supernet(make_images(), softmax_mixes(alphas))
    assert output.shape == (3, supernet.out_channels, 8, 4)
    for gradient in gradients(output, list(alphas.values())):
        assert (gradient != 0).all()
    named = dict(supernet.named_parameters())
    for name, gradient in zip(named, gradients(supernet(make_images(), softmax_mixes(alphas)),
                                               list(named.values())), strict=True):
        # A bias before a norm or inside a softmax's shift is in the published layout but has no effect.
        assert gradient is not None and (gradient.abs().sum() > 0 or name.endswith("bias")), name


def test_sampled_only_equals_all_ops_under_hard_weights():
    space = make_space()
    supernet, alphas, images = build(space), make_alphas(space), make_images()
    full = supernet(images, hard_mixes(alphas, sampled_only=False))
    sampled = supernet(images, hard_mixes(alphas, sampled_only=True))
    assert torch.allclose(full, sampled, rtol=1e-12, atol=1e-12)
    parameters = list(supernet.parameters())
    for expected, got in zip(gradients(full, parameters), gradients(sampled, parameters), strict=True):
        got = torch.zeros_like(expected) if got is None else got
        assert torch.allclose(expected, got, rtol=1e-9, atol=1e-12)


def test_sampled_ops_can_give_the_alphas_their_full_gradient():
    space = make_space()
    supernet, alphas, images = build(space), make_alphas(space), make_images()
    full = supernet(images, hard_mixes(alphas, sampled_only=False))
    mixes = {name: replace(mix, all_gradients=True) for name, mix in hard_mixes(alphas, sampled_only=True).items()}
    expected, got = (torch.autograd.grad(maps.square().mean(), list(alphas.values()))
                     for maps in (full, supernet(images, mixes)))
    for one, other in zip(expected, got, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-14)


def test_sampled_none_is_a_zero_that_keeps_the_graph():
    space = make_space()
    supernet, alphas = build(space), make_alphas(space)
    one_hot = torch.eye(7, dtype=torch.float64)[0].expand(14, 7)
    mixes = {name: Mix(one_hot + alpha - alpha.detach(), torch.zeros(14, dtype=torch.int64), True)
             for name, alpha in alphas.items()}
    output = supernet(make_images(), mixes)
    assert output.shape == (3, supernet.out_channels, 8, 4) and (output == 0).all()
    assert all(gradient is not None for gradient in gradients(output, list(alphas.values())))


def test_sampled_indices_are_read_once_per_decision(monkeypatch):
    space = make_space(layers=[2, 2])
    supernet, mixes = build(space), hard_mixes(make_alphas(space), sampled_only=True)
    reads = []
    original = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: reads.append(1) or original(self))
    monkeypatch.setattr(torch.Tensor, "item", lambda self: pytest.fail("a tensor was read on the host"))
    supernet(make_images(), mixes)
    assert len(reads) == 2


@pytest.mark.parametrize("name", sorted(OPS))
@pytest.mark.parametrize(("height", "width"), [(47, 23), (12, 4), (5, 8), (4, 1)])
def test_every_op_handles_odd_sizes_at_both_strides(name, height, width):
    torch.manual_seed(0)
    settings = OpSettings(search=True)
    x = torch.randn(2, 6, height, width)
    for stride in (1, 2):
        output = OPS[name](6, stride, settings)(x)
        assert output.shape == (2, 6, -(-height // stride), -(-width // stride))
        assert output.isfinite().all()


def test_supernet_accepts_odd_images():
    space = make_space(layers=[1, 1, 1], parts=3)
    supernet, alphas = build(space), make_alphas(space)
    output = supernet(make_images(height=47, width=23), softmax_mixes(alphas))
    assert output.shape == (3, supernet.out_channels, 3, 2) and output.isfinite().all()


def test_output_does_not_depend_on_the_memory_format():
    space = make_space()
    supernet, mixes, images = build(space), softmax_mixes(make_alphas(space)), make_images()
    expected = supernet(images, mixes)
    supernet.to(memory_format=torch.channels_last)
    got = supernet(images.to(memory_format=torch.channels_last), mixes)
    assert torch.allclose(expected, got, rtol=1e-11, atol=1e-12)


def test_factorized_reduce_sees_every_pixel():
    op = OPS["skip_connect"](6, 2, OpSettings(search=True)).double()
    x = torch.rand(2, 6, 7, 5, dtype=torch.float64).add_(0.1).requires_grad_()
    gradient, = gradients(op(x), [x])
    assert (gradient.abs().sum(dim=1)[:, ::2, ::2] > 0).all() and (gradient.abs().sum(dim=1)[:, 1::2, 1::2] > 0).all()


@pytest.mark.parametrize(("height", "parts"), [(4, 4), (7, 4), (9, 4), (12, 4), (5, 2), (6, 1), (11, 3)])
def test_part_aware_equals_its_slow_twin(height, parts):
    torch.manual_seed(0)
    op = PublishedPartAware(9, parts=parts, norm=lambda h: nn.BatchNorm2d(h, affine=False, track_running_stats=False),
                            fuse=nn.Identity()).double()
    x = torch.randn(3, 9, height, 5, dtype=torch.float64)

    def arrays(layer):
        return layer.weight.detach().flatten(1).numpy(), layer.bias.detach().numpy()

    weight, bias = arrays(op.project)
    project = list(zip(weight.reshape(parts, 3, 9), bias.reshape(parts, 3), strict=True))
    (key, query), (key_bias, query_bias) = (array.reshape(2, 3, -1) for array in arrays(op.keys_and_queries))
    expected = part_vectors(x.numpy(), project=project, key=(key, key_bias[:, 0]), query=(query, query_bias[:, 0]))
    output = op(x).detach()
    assert torch.equal(output[:, :9], x)
    assert abs(output[:, 9:].numpy() - expected).max() < 1e-12


@pytest.mark.parametrize("height", range(4, 14))
def test_stripes_cover_every_row_once(height):
    bounds = stripe_bounds(height, 4)
    sizes = [bottom - top for top, bottom in pairwise(bounds)]
    assert bounds[0] == 0 and bounds[-1] == height and max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    vectors = torch.randn(2, 4, 3)
    maps = broadcast_stripes(vectors, bounds, 5).requires_grad_()
    average = average_stripes(maps, bounds)
    assert torch.allclose(average, vectors, atol=1e-6)
    slope, = torch.autograd.grad(average.sum(), maps)  # in maps' order, where ReLUs and norms behind it are fast
    assert all(map_.is_contiguous(memory_format=torch.channels_last) for map_ in (maps, slope))


def test_part_aware_needs_one_row_per_part():
    space = make_space(parts=9)
    with pytest.raises(ConfigError, match=r"9 stripes, but it has 8 rows.*network\.<argument>="):
        build(space)(make_images(height=32), softmax_mixes(make_alphas(space)))


def test_a_path_without_gradients_leaves_sampled_nones_out(monkeypatch):
    space = make_space(layers=[1, 1])
    supernet, mixes = build(space), hard_mixes(make_alphas(space), sampled_only=True)
    images = make_images()
    expected = supernet(images, mixes)
    runs = []
    monkeypatch.setattr(Zero, "forward", lambda self, x: runs.append(1))
    with torch.no_grad():
        assert torch.allclose(supernet(images, mixes), expected, rtol=1e-12, atol=1e-12)
    assert not runs


def test_without_none_a_path_closes_the_edges_that_its_genotype_lacks():
    """With the same weights it computes what the supernet that has `none` computes."""
    with_none, without = make_space(), make_space(primitives="reid_without_none")
    first, second, images = build(with_none).float().eval(), build(without).float().eval(), make_images().float()
    second.load_state_dict(dict(zip(second.state_dict(), first.state_dict().values(), strict=True)))
    probabilities = {name: alpha.softmax(-1) for name, alpha in make_alphas(without).items()}
    genotype = without.derive(probabilities)
    path = path_of(without, genotype, probabilities)
    assert (path["normal"].weights.sum(1) == 0).sum() == 14 - 8
    expected = first(images, path_of(with_none, genotype, probabilities))
    assert torch.allclose(second(images, path), expected, rtol=1e-4, atol=1e-5)
