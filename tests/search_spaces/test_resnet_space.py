"""The space of fixed residual networks: its published genotypes, its arguments, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nas_reid.conformance import ConformanceError, check_search_space
from nas_reid.errors import ConfigError, GenotypeError
from nas_reid.genotype import Genotype
from nas_reid.network.complexity import count_parameters
from nas_reid.registry import create_searchable, create_space, load_genotype, published_genotypes, space_of
from tests.search_spaces.resnet_networks import ARGUMENTS, TINY, trunk


def space(**changes: Any):
    return create_space("resnet", {**ARGUMENTS, **changes})


@pytest.mark.parametrize("changes", [
    {}, {"ibn": "a"}, {"ibn": "b"}, {"se": True}, {"depth": 50, "non_local": [0, 2, 3, 0]},
    {"depth": 50, "groups": 4, "group_width": 16}, {"depth": 50, "radix": 2}])
def test_it_conforms(changes: dict[str, Any]) -> None:
    check_search_space(space(**TINY, **changes), searchable=False)


def test_a_space_without_decisions_must_say_so() -> None:
    with pytest.raises(ConformanceError, match="no decision"):
        check_search_space(space(**TINY))


@pytest.mark.parametrize(("name", "parameters"), [
    ("resnet18", 11_176_512), ("resnet34", 21_284_672), ("resnet50", 23_508_032), ("resnet101", 42_500_160),
    ("resnet50_ibn_a", 23_508_032), ("resnet50_ibn_a_nl1", 23_536_719), ("resnext50", 22_979_904),
    ("resnext101_32x8d", 86_742_336), ("resnest50", 25_434_240),
    # Of each non-local block: four 1x1 convolutions between C and C/2 with biases, and a batch norm.
    ("resnet50_nl", 23_508_032 + 2 * (2 * 512**2 + 9 * 256) + 3 * (2 * 1024**2 + 9 * 512)),
    # Of each block with C outputs: two linear layers between C and C/16.
    ("se_resnet101_ibn_a", 42_500_160 + sum(blocks * channels**2 // 8 for blocks, channels in
                                            ((3, 256), (4, 512), (23, 1024), (3, 2048))))])
def test_published_genotypes_have_the_published_numbers_of_parameters(name: str, parameters: int) -> None:
    assert count_parameters(trunk(name)) == parameters


def test_every_published_genotype_builds_a_network_whose_last_stage_does_not_stride() -> None:
    names = published_genotypes("resnet")
    assert len(names) >= 20
    for name in names:
        genotype = load_genotype(name)
        assert genotype.arguments["last_stride"] == 1 and not genotype.body and genotype.provenance["paper"]
        strides = {module.stride for module in trunk(name.removeprefix("resnet/")).layer4.modules()
                   if isinstance(module, nn.Conv2d)}
        assert strides == {(1, 1)}, name


def test_the_classifier_of_a_pre_training_strides_as_published() -> None:
    genotype = load_genotype("resnet/resnet18")
    with torch.device("meta"):
        network = space_of(genotype, {"last_stride": 2}).network(genotype)
    assert network(torch.empty(2, 3, 64, 32, device="meta")).shape == (2, 512, 2, 1)


def test_the_yaml_names_the_arguments_of_the_constructor() -> None:
    text = (Path(__file__).parents[2] / "conf" / "space" / "resnet.yaml").read_text()
    keys = [line.partition(":")[0] for line in text.splitlines() if line and not line.startswith("#")]
    assert set(keys) - {"name"} == set(ARGUMENTS)


def test_it_is_not_searched() -> None:
    with pytest.raises(ConfigError, match=r"'resnet' has no decisions: there is nothing to search.*nas_reid\.retrain "
                                          r"genotype=.*resnet/resnet50_ibn_a\b"):
        create_searchable({"name": "resnet", **ARGUMENTS})


@pytest.mark.parametrize(("changes", "message"), [
    ({"depth": 19}, r"space\.depth=19 is unknown; known are: 18, 34, 50, 101, 152"),
    ({"depth": [50]}, r"space\.depth=\[50\] is unknown"),
    ({"ibn": "c"}, r"space\.ibn='c' is unknown; known are: none, a, b"),
    ({"stem_pool": "none"}, r"space\.stem_pool='none' is unknown; known are: padded, ceil"),
    ({"last_stride": 3}, r"space\.last_stride=3 is unknown; known are: 1, 2"),
    ({"last_stride": True}, r"space\.last_stride=True is unknown"),
    ({"se": 1}, r"space\.se=1 is unknown; known are: False, True"),
    ({"groups": 0}, r"space\.groups=0 is illegal; expected an integer of at least 1"),
    ({"channels": 6.4}, r"space\.channels=6\.4 is illegal"),
    ({"non_local": [0, 2, 3]}, r"space\.non_local=\[0, 2, 3\] is illegal; expected four integers"),
    ({"non_local": [0, 0, 9, 0]}, r"at most its \[2, 2, 2, 2\] blocks"),
    ({"non_local": "many"}, r"space\.non_local='many' is illegal"),
    ({"non_local_width": 1}, r"space\.non_local_width=1 without non-local blocks"),
    ({"depth": 18, "radix": 2}, r"space\.depth=18 has blocks of two 3x3 convolutions, which are not grouped"),
    ({"depth": 50, "radix": 1}, r"space\.radix=1 .* at least 2"),
    ({"depth": 50, "radix": 2, "stem_channels": 3}, r"even number of stem_channels"),
    ({"depth": 50, "channels": 8, "group_width": 4, "groups": 32}, r"use at least channels=16"),
    ({"channels": 8, "se": True}, r"no hidden channel"),
])
def test_bad_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space(**changes)


def test_a_body_is_refused() -> None:
    genotype = Genotype.from_json(json.dumps({"format_version": 1, "space": "resnet", "space_version": 1,
                                              "body": {"layer1": "conv"}, "arguments": ARGUMENTS}))
    with pytest.raises(GenotypeError, match=r"\['layer1'\].* empty body"):
        space_of(genotype).network(genotype)
