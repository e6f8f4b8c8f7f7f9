"""Fused execution is the plain one, in fewer launches and less memory."""

from collections import Counter
from functools import cache, partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nas_reid.search_space import Mix
from search_spaces.auto_reid.ops import OPS, PRIMITIVES, SeparableConv
from tests.search_spaces.auto_reid_spaces import hard_mixes, make_alphas, make_images, make_space, softmax_mixes

GIB = 2**30


def make_pair(**changes):
    """A plain and a fused supernet with the same parameters, in float64."""
    torch.manual_seed(0)
    plain = make_space(execution="plain", **changes).supernet().double()
    fused = make_space(execution="fused", **changes).supernet().double()
    fused.load_state_dict(plain.state_dict())
    return plain, fused


def run(supernet, images, mixes, tensors, *, create_graph=False):
    output = supernet(images, mixes)
    weight = torch.randn(output.shape, generator=torch.Generator().manual_seed(3), dtype=output.dtype)
    gradients = torch.autograd.grad((output * weight).sum(), tensors, create_graph=create_graph, allow_unused=True)
    return [output, *gradients]


def relative_error(expected, got):
    return ((expected - got).norm() / expected.norm()).item()


def check_equal(plain, fused, images, alphas, *, mix=softmax_mixes):
    architecture, images = list(alphas.values()), images.requires_grad_()
    expected, got = (run(supernet, images, mix(alphas), [*architecture, images, *supernet.parameters()])
                     for supernet in (plain, fused))
    for first, second in zip(expected[:4], got[:4], strict=True):  # output, both kinds of alphas, images
        assert relative_error(first, second) < 1e-12
    # All weights as one vector: some biases have a gradient of exactly zero, up to rounding.
    flat = [torch.cat([gradient.flatten() for gradient in gradients[4:]]) for gradients in (expected, got)]
    assert relative_error(*flat) < 1e-12


@pytest.mark.parametrize(("channels", "layers", "height", "width", "parts", "nodes", "primitives", "part_attention"), [
    (8, [1, 1], 33, 9, 3, 4, "reid", "published"),
    (9, [2, 1], 34, 16, 2, 2, "reid", "published"),
    (16, [1, 2], 48, 11, 3, 2, "reid", "qkv"),
    (8, [1, 1, 1], 41, 24, 1, 2, "darts", "published"),
    (9, [1, 1], 50, 17, 2, 3, "darts", "qkv"),
    (24, [1, 1], 39, 12, 1, 2, "reid", "published"),
    (8, [1, 1, 1], 47, 18, 2, 3, "reid", "published"),
])
def test_fused_equals_plain(channels, layers, height, width, parts, nodes, primitives, part_attention):
    changes = {"channels": channels, "layers": layers, "parts": parts, "nodes": nodes, "primitives": primitives,
               "part_attention": part_attention}
    images = make_images(batch=6, height=height, width=width)
    check_equal(*make_pair(**changes), images, make_alphas(make_space(**changes)))


def test_fused_equals_plain_at_width_64():
    changes = {"channels": 64, "layers": [1, 1], "nodes": 2}
    check_equal(*make_pair(**changes), make_images(height=33, width=9), make_alphas(make_space(**changes)))


def test_fused_equals_plain_under_hard_weights():
    changes = {"nodes": 3}
    alphas = make_alphas(make_space(**changes))
    check_equal(*make_pair(**changes), make_images(height=34, width=17), alphas,
                mix=partial(hard_mixes, sampled_only=False))


def test_second_derivatives_agree():
    plain, fused = make_pair(nodes=3)
    images, alphas = make_images(height=32, width=16), make_alphas(make_space(nodes=3))
    products = []
    for supernet in (plain, fused):
        architecture, weights = list(alphas.values()), list(supernet.parameters())
        gradients = run(supernet, images, softmax_mixes(alphas), weights, create_graph=True)[1:]
        products.append(torch.autograd.grad(sum((gradient * weight.detach()).sum() for gradient, weight
                                                in zip(gradients, weights, strict=True)), architecture))
    for expected, got in zip(*products, strict=True):
        assert relative_error(expected, got) < 1e-9


def test_one_step_of_both_optimisers_agrees():
    results = []
    for supernet in make_pair(nodes=3):
        alphas = make_alphas(make_space(nodes=3))
        weight_optimiser = torch.optim.SGD(supernet.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        alpha_optimiser = torch.optim.Adam(alphas.values(), lr=0.02, weight_decay=5e-4)
        supernet(make_images(height=33, width=9), softmax_mixes(alphas)).square().mean().backward()
        weight_optimiser.step()
        alpha_optimiser.step()
        results.append([torch.cat([tensor.detach().flatten() for tensor in tensors])
                        for tensors in (supernet.parameters(), alphas.values())])
    for expected, got in zip(*results, strict=True):
        assert relative_error(expected, got) < 1e-12


def test_sampled_execution_does_not_depend_on_the_switch():
    plain, fused = make_pair()
    mixes = hard_mixes(make_alphas(make_space()), sampled_only=True)
    assert torch.equal(plain(make_images(), mixes), fused(make_images(), mixes))


class DispatchCount(TorchDispatchMode):
    """Counts every dispatched op that is not a view."""

    def __init__(self):
        super().__init__()
        self.ops = Counter()

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if not op.is_view:
            self.ops[op] += 1
        return op(*args, **(kwargs or {}))


@cache
def cost_of_a_step(execution, phase):
    """Dispatched ops and saved bytes of forward and backward at the paper's width and images, 16 x 3 x 384 x 128, with
    fewer cells; ``bench.py step`` counts those of all.

    ``phase`` is "joint" (gradients of everything), "weights" (alphas detached) or "alphas" (weights frozen).
    """
    space = make_space(channels=32, layers=[1, 1], execution=execution)
    with torch.device("meta"):
        supernet, images = space.supernet(), torch.empty(16, 3, 384, 128)
        mixes = {decision.name: torch.empty(decision.rows, len(decision.choices), requires_grad=phase != "weights")
                 for decision in space.decisions()}
    supernet.requires_grad_(phase != "alphas")
    supernet(images, {name: Mix(weights) for name, weights in mixes.items()})  # fills caches of constants
    weights, saved = {parameter.untyped_storage()._cdata for parameter in supernet.parameters()}, {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            saved[storage._cdata] = storage
        return tensor

    with DispatchCount() as count, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        supernet(images, {name: Mix(weights) for name, weights in mixes.items()}).sum().backward()
    return sum(count.ops.values()), sum(storage.nbytes() for storage in saved.values()) / GIB


@pytest.mark.parametrize(("phase", "most_ops", "most_gib"), [
    ("joint", 1_310, 1.65), ("weights", 1_260, 1.55), ("alphas", 1_060, 1.05)])
def test_fused_step_is_small(phase, most_ops, most_gib):
    ops, gib = cost_of_a_step("fused", phase)
    assert ops <= most_ops and gib <= most_gib


def test_plain_step_is_what_fused_saves():
    ops, gib = cost_of_a_step("plain", "joint")
    fused_ops, fused_gib = cost_of_a_step("fused", "joint")
    assert ops > 3 * fused_ops and gib > 1.8 * fused_gib


class Doubled(SeparableConv):
    """A new op that is nearly an old one."""

    def forward(self, x):
        return 2 * super().forward(x)


def tiny_conv(channels, stride, settings):
    return torch.nn.Sequential(torch.nn.Conv2d(channels, channels, 1, stride, bias=False), settings.norm(channels))


@pytest.mark.parametrize("primitives", [
    ("sep_conv_3x3", "dil_conv_3x3"), ("max_pool_3x3", "avg_pool_3x3"), ("none", "skip_connect"), ("skip_connect",),
    ("none", "part_aware"), ("max_pool_3x3", "doubled"), ("tiny_conv", "max_pool_5x5"), ("none", "avg_pool_3x3"),
], ids="+".join)
def test_any_set_of_ops_searches(primitives, monkeypatch):
    """A line in OPS makes an op, a line in PRIMITIVES makes it searchable: without pairs of pools and convolutions."""
    monkeypatch.setitem(OPS, "doubled", lambda channels, stride, settings: Doubled(channels, 3, stride=stride,
                                                                                   settings=settings))
    monkeypatch.setitem(OPS, "tiny_conv", tiny_conv)
    monkeypatch.setitem(OPS, "max_pool_5x5", lambda _, stride, __: torch.nn.MaxPool2d(5, stride, padding=2))
    monkeypatch.setitem(PRIMITIVES, "mine", primitives)
    changes = {"primitives": "mine", "nodes": 3}
    space = make_space(**changes)
    alphas = make_alphas(space)
    plain, fused = make_pair(**changes)
    images = make_images(height=33, width=17)
    expected, got = (run(supernet, images, softmax_mixes(alphas), [*alphas.values(), *supernet.parameters()])
                     for supernet in (plain, fused))
    for first, second in zip(expected, got, strict=True):
        if first is None or first.norm() < 1e-9:
            assert second is None or second.norm() < 1e-9
        else:
            assert relative_error(first, second) < 1e-9
    costs = [choice.cost for choice in space.decisions()[0].choices]
    assert all(0 <= cost <= 1 for cost in costs)
    genotype = space.derive({name: alpha.softmax(-1) for name, alpha in alphas.items()})
    again = space.derive(space.one_hot(genotype))
    assert again.body == genotype.body or len(set(primitives) - {"none"}) == len(primitives) == 1
    assert space.network(genotype).double().eval()(images).isfinite().all()
