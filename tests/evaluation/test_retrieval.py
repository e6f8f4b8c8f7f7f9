"""The way from a network and two lists to metrics, variants included."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nas_reid.errors import ConfigError
from nas_reid.evaluation import features as features_module
from nas_reid.evaluation.features import Embedded, extract, extract_with_maps
from nas_reid.evaluation.reranking import KReciprocal
from nas_reid.evaluation.retrieval import compare, describe_protocol, retrieve
from nas_reid.evaluation.variants import VARIANTS, build_variants, check_variants
from tests.evaluation.test_reranking import splitmix

CPU = torch.device("cpu")


class Network(nn.Module):
    """Its trunk doubles the image; the embedding is the image's first D pixels in a row."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.trunk, self.dimensions = Doubled(), dimensions

    def forward(self, images, modality=None):
        return self.trunk(images, modality=modality).flatten(1)[:, :self.dimensions]


class Doubled(nn.Module):
    def forward(self, images, modality=None):
        return 2 * images


class Lists:
    """Batches of three images, iterable again and again, as ``EvalBatches`` are."""

    def __init__(self, images, pids, camid) -> None:
        self.images, self.pids, self.camids = images, torch.as_tensor(pids), torch.full((len(images),), camid)

    def __iter__(self):
        for part in self.images.split(3):
            yield SimpleNamespace(images=part, modalities=torch.zeros(len(part), dtype=torch.int64))


def test_published_reranking_through_an_evaluation():
    """facts/torchreid.md, item 7: gallery images that re-ranking puts first are the right ones, the others strangers.

    Of the plain order 3, 3, 8, 12, 0, 22 three are right.
    """
    rows = torch.tensor(splitmix("rerank", 240)).view(30, 1, 1, 8)
    for options, best in (({}, (1, 2, 8, 12, 0, 17)), ({"k1": 6, "k2": 3}, (1, 11, 8, 12, 0, 22))):
        gallery_pids = torch.zeros(24, dtype=torch.int64)
        gallery_pids[list(best)] = torch.arange(1, 7)
        lists = Lists(rows[:6] / 2, range(1, 7), 0), Lists(rows[6:] / 2, gallery_pids, 1)
        variants = build_variants({"rerank": options})
        result = retrieve(Network(8), *lists, distance="squared_euclidean", flip=False, device=CPU, variants=variants)
        assert result.variants["rerank"].summary()["rank1"] == 1
        assert result.ranking.summary()["rank1"] == sum(a == b for a, b in zip((3, 3, 8, 12, 0, 22), best,
                                                                             strict=True)) / 6


def random_lists() -> tuple[Lists, Lists]:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(5, 4, 4, 2, generator=generator)
    pids = torch.arange(40) % 5 + 1
    images = centres[pids - 1] + torch.randn(40, 4, 4, 2, generator=generator)
    return Lists(images[:10], pids[:10], 0), Lists(images[10:], pids[10:], 1)


def test_every_variant_beside_the_plain_metrics():
    options = {"k1": 5, "k2": 2}, {"k": 3}, {"k": 3}, {"candidates": 7}
    variants = build_variants(dict(zip(VARIANTS, options, strict=True)))
    arguments = {"distance": "cosine", "flip": True, "device": CPU}
    result = retrieve(Network(9), *random_lists(), **arguments, variants=variants)
    plain = retrieve(Network(9), *random_lists(), **arguments)
    assert result.ranking.summary() == plain.ranking.summary() and not plain.variants
    assert set(result.variants) == set(VARIANTS)
    assert len({json.dumps(ranking.summary()) for ranking in (plain.ranking, *result.variants.values())}) == 5
    assert plain.query.maps is None and result.gallery.maps.shape == (30, 4, 4, 2)


def test_the_protocol_names_each_variant_and_what_it_may_see():
    plain = describe_protocol("cosine", False)
    assert plain["re-ranking"] is False and "variants" not in plain
    said = describe_protocol("cosine", False, variants=build_variants({name: {} for name in VARIANTS}))
    assert said["re-ranking"] is False  # of the plain metrics
    assert {name: variant["transductive"] for name, variant in said["variants"].items()} == {
        "rerank": True, "query_expansion": False, "transductive_expansion": True, "dsr": False}
    assert said["variants"]["rerank"] | {"method": ""} == {"method": "", "k1": 20, "k2": 6, "lambda": 0.3,
                                                           "transductive": True}
    assert json.loads(json.dumps(said)) == said


def test_parts_of_embedded_lists_compare_alone():
    """Several trials share one extraction."""
    query, gallery = (Embedded(lists.images.flatten(1), lists.pids, lists.camids) for lists in random_lists())
    some = torch.tensor([3, 1, 20, 7, 28, 4, 9, 12])
    part = compare(query[2:7], gallery[some], distance="euclidean", variants={"rerank": KReciprocal(k1=3, k2=2)})
    alone = compare(Embedded(query.features[2:7], query.pids[2:7], query.camids[2:7]),
                    Embedded(gallery.features[some], gallery.pids[some], gallery.camids[some]), distance="euclidean",
                    variants={"rerank": KReciprocal(k1=3, k2=2)})
    assert len(part.query) == 5 and part.ranking.summary() == alone.ranking.summary()
    assert part.variants["rerank"].summary() == alone.variants["rerank"].summary()


@pytest.mark.parametrize("flip", [False, True])
def test_maps_are_the_trunks_on_the_way(flip):
    lists, network = random_lists()[1], Network(9)
    features, maps = extract_with_maps(network, lists, flip=flip, device=CPU, num_images=30)
    assert torch.equal(features, extract(network, lists, flip=flip, device=CPU))
    assert torch.equal(maps, 2 * lists.images)  # for this trunk the mirrored view, mirrored back, is the same
    assert not network.trunk._forward_hooks and not maps.is_inference()


def test_too_many_maps_are_refused(monkeypatch):
    monkeypatch.setattr(features_module, "_MAPS_MEMORY", 30 * 32 * 4 - 1)
    network = Network(9)
    with pytest.raises(ConfigError, match=r"maps of 30 images would take .* GiB .* \(evaluation.dsr\) is for small"):
        extract_with_maps(network, random_lists()[1], flip=False, device=CPU, num_images=30)
    assert not network.trunk._forward_hooks


@pytest.mark.parametrize(("configured", "message"), [
    ({"rerank": 20}, r"evaluation\.rerank=20: expected null or arguments, such as \{k1: 20, k2: 6, lambda: 0\.3\}"),
    ({"rerank": {"k3": 1}}, r"evaluation\.rerank has no argument k3; it has, with their defaults, \{k1: 20, k2: 6"),
    ({"rerank": {"weight": 0.3}}, "has no argument weight"),
    ({"rerank": {"k1": 2.5}}, r"rerank\.k1=2\.5 is no whole number; the default is 20"),
    ({"rerank": {"k1": True}}, "is no whole number"),
    ({"rerank": {"lambda": "much"}}, r"rerank\.lambda='much' is no number"),
    ({"rerank": {"lambda": 2}}, "0 <= lambda <= 1"),
    ({"dsr": {"form": 3}}, r"dsr\.form=3 is no name"),
])
def test_illegal_arguments(configured, message):
    with pytest.raises(ConfigError, match=message):
        build_variants(configured)


def test_a_list_too_short_is_refused_before_the_network_runs():
    network = Network(9)
    network.forward = lambda *_, **__: pytest.fail("it ran")
    with pytest.raises(ConfigError, match=r"evaluation\.rerank\.k1=31 is larger than the gallery of 30 images"):
        retrieve(network, *random_lists(), distance="cosine", flip=False, device=CPU,
                 variants=build_variants({"rerank": {"k1": 31}, "dsr": None}))


@pytest.mark.parametrize("name", ["transductive_expansion", "dsr"])
def test_what_weighs_with_cosines_needs_them(name):
    with pytest.raises(ConfigError, match=rf"{name} does not go with .*distance=euclidean.*set evaluation\.distance="):
        check_variants(build_variants({name: {}}), distance="euclidean")
    check_variants(build_variants({name: {}}), distance="cosine")
