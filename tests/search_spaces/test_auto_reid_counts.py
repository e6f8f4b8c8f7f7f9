"""Parameter and MAC counts against the published ones; everything on the meta device."""

import pytest
import torch
from torch import nn

from nas_reid.genotype import Genotype
from nas_reid.network.complexity import count_macs, count_parameters
from nas_reid.registry import load_genotype, space_of
from tests.search_spaces.auto_reid_spaces import make_space

MARKET_IDENTITIES = 751


def on_meta(build):
    with torch.device("meta"):
        return build()


def classifier_parameters(trunk, classes):
    return (trunk.out_channels + 1) * classes


@pytest.mark.parametrize(("name", "params", "gmacs"), [
    ("baseline", 11_841_199, 2.029),
    ("baseline_reid", 10_972_847, 1.704),
    ("retrieval", 11_409_519, 1.840),
])
def test_published_genotypes_reproduce_the_papers_counts(name, params, gmacs):
    genotype = load_genotype(f"auto_reid/{name}")
    trunk = on_meta(lambda: space_of(genotype).network(genotype))
    assert count_parameters(trunk) + classifier_parameters(trunk, MARKET_IDENTITIES) == params
    macs = count_macs(trunk, (384, 128)) + trunk.out_channels * MARKET_IDENTITIES
    assert macs / 1e9 == pytest.approx(gmacs, rel=0.002)


def test_qkv_layout_is_the_reading_of_13_million():
    genotype = load_genotype("auto_reid/baseline_reid")
    trunk = on_meta(lambda: space_of(genotype, {"part_attention": "qkv"}).network(genotype))
    params = count_parameters(trunk) + classifier_parameters(trunk, MARKET_IDENTITIES)
    assert params == pytest.approx(13.119e6, rel=1e-4)


def test_supernet_counts():
    space = make_space(channels=32, layers=[2, 2, 2, 2])
    supernet = on_meta(space.supernet)
    assert count_parameters(supernet) + classifier_parameters(supernet, MARKET_IDENTITIES) == 17_029_679
    assert not list(supernet.buffers())
    assert [(decision.name, decision.rows, len(decision.choices)) for decision in space.decisions()] == [
        ("normal", 14, 7), ("reduce", 14, 7)]


def test_darts_cifar_supernet_counts():
    space = make_space(channels=16, layers=[2, 3, 3], primitives="darts", stem="cifar")
    supernet = on_meta(space.supernet)
    assert count_parameters(supernet) + classifier_parameters(supernet, 10) == 1_930_618
    assert sum(decision.rows * len(decision.choices) for decision in space.decisions()) == 224


def test_darts_v2_network_counts():
    def cell(*nodes):
        return [{"node": f"node{position + 2}", "inputs": [{"op": op, "source": source} for op, source in inputs]}
                for position, inputs in enumerate(nodes)]

    sep, skip, dil, pool = "sep_conv_3x3", "skip_connect", "dil_conv_3x3", "max_pool_3x3"
    body = {
        "normal": cell([(sep, "input0"), (sep, "input1")], [(sep, "input0"), (sep, "input1")],
                       [(sep, "input1"), (skip, "input0")], [(skip, "input0"), (dil, "node2")]),
        "reduce": cell([(pool, "input0"), (pool, "input1")], [(skip, "node2"), (pool, "input1")],
                       [(pool, "input0"), (skip, "node2")], [(skip, "node2"), (pool, "input1")]),
    }
    space = make_space(channels=36, layers=[6, 7, 7], primitives="darts", stem="cifar")
    trunk = on_meta(lambda: space.network(Genotype("auto_reid", 1, body)))
    assert count_parameters(trunk) + classifier_parameters(trunk, 10) == 3_349_342


def test_part_aware_parameters_follow_the_formula():
    c, h = 48, 16
    ops = on_meta(lambda: make_space(channels=c).supernet().cells[0].edges[0])
    trained = sum(parameter.numel() for parameter in ops["part_aware"].parameters())
    affine = 4 * 2 * h + 2 * c  # what the fixed network adds to the supernet's op
    assert trained + affine == 4 * (c * h + 3 * h) + 2 * (h * h + h) + (c + h) * c + 2 * c
    assert isinstance(ops["part_aware"].norm, nn.BatchNorm2d)


def test_costs_rank_the_primitives():
    costs = {choice.name: choice.cost for choice in make_space(channels=32).decisions()[0].choices}
    assert costs["sep_conv_3x3"] == 1.0 and costs["dil_conv_3x3"] == 0.5
    assert costs["none"] == costs["skip_connect"] == costs["max_pool_3x3"] == 0
    assert 0.5 < costs["part_aware"] < 1
