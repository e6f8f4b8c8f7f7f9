"""From probabilities to genotypes and back, and what a malformed genotype gets."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.errors import ConfigError, GenotypeError
from nas_reid.genotype import Genotype
from nas_reid.registry import load_genotype, space_of
from search_spaces.auto_reid.derive import derive_cell
from tests.search_spaces.auto_reid_spaces import make_images, make_space


def test_derive_ranks_softmax_probabilities_with_none_in_the_denominator():
    # Node 3 has three incoming edges; ranking raw alphas would keep edges 0 and 2.
    alphas = torch.tensor([[0.0, 0, 0], [0, 0, 0], [2, 0, 3], [1, 0, -3], [1.5, 0, 0]])
    probs = alphas.softmax(-1)
    assert probs[2:, 0].tolist() == pytest.approx([0.259, 0.721, 0.691], abs=1e-3)
    cell = derive_cell(probs, primitives=("sep_conv_3x3", "dil_conv_3x3", "none"), nodes=2)
    assert cell[1] == {"node": "node3", "inputs": [{"op": "sep_conv_3x3", "source": "input1"},
                                                   {"op": "sep_conv_3x3", "source": "node2"}]}


def test_derive_breaks_ties_towards_the_lowest_index():
    space = make_space()
    uniform = {decision.name: torch.full((decision.rows, 7), 1 / 7) for decision in space.decisions()}
    for cell in space.derive(uniform).body.values():
        for node in cell:
            assert node["inputs"] == [{"op": "max_pool_3x3", "source": "input0"},
                                      {"op": "max_pool_3x3", "source": "input1"}]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), nodes=st.integers(1, 5),
       primitives=st.sampled_from(["reid", "darts", "reid_without_none"]))
def test_derived_genotypes_survive_one_hot_and_json(seed, nodes, primitives):
    space = make_space(nodes=nodes, primitives=primitives)
    generator = torch.Generator().manual_seed(seed)
    probs = {decision.name: torch.randn(decision.rows, len(decision.choices), generator=generator).softmax(-1)
             for decision in space.decisions()}
    genotype = space.derive(probs)
    assert space.derive(space.one_hot(genotype)).body == genotype.body
    assert Genotype.from_json(genotype.to_json()) == genotype
    for cell in genotype.body.values():
        for node in cell:
            assert len({entry["source"] for entry in node["inputs"]}) == 2
            assert all(entry["op"] != "none" for entry in node["inputs"])


@pytest.mark.parametrize("name", ["baseline", "baseline_reid", "retrieval"])
def test_published_genotypes_derive_from_their_one_hot(name):
    genotype = load_genotype(f"auto_reid/{name}")
    space = space_of(genotype)
    assert space.derive(space.one_hot(genotype)).body == genotype.body


@pytest.mark.parametrize("name", ["baseline", "baseline_reid", "retrieval"])
def test_published_weights_name_the_chosen_edges(name):
    genotype = load_genotype(f"auto_reid/{name}")
    for kind, nodes in genotype.provenance["published_weights"].items():
        for node in genotype.body[kind]:
            assert set(nodes[node["node"]]) == {entry["source"] for entry in node["inputs"]}


def _without_reduce(body):
    del body["reduce"]


def _unknown_op(body):
    body["normal"][0]["inputs"][0]["op"] = "conv_7x7"


def _none(body):
    body["normal"][0]["inputs"][0]["op"] = "none"


def _later_source(body):
    body["reduce"][1]["inputs"][0]["source"] = "node4"


def _unknown_source(body):
    body["reduce"][1]["inputs"][0]["source"] = "cell[k-1]"


def _twice(body):
    body["normal"][2]["inputs"][0]["source"] = body["normal"][2]["inputs"][1]["source"]


def _three_inputs(body):
    body["normal"][3]["inputs"].append({"op": "skip_connect", "source": "node4"})


def _missing_node(body):
    body["normal"].pop()


def _missing_field(body):
    del body["normal"][0]["inputs"][0]["op"]


def _not_a_list(body):
    body["normal"] = {"node2": []}


@pytest.mark.parametrize(("damage", "message"), [
    (_without_reduce, r"cells \['normal'\]; expected \['normal', 'reduce'\]"),
    (_unknown_op, "unknown op 'conv_7x7'; known are: avg_pool_3x3"),
    (_none, "unknown op 'none'"),
    (_later_source, "reduce node3 reads 'node4'; it can read: input0, input1, node2"),
    (_unknown_source, r"reads 'cell\[k-1\]'; it can read"),
    (_twice, "normal node4 reads 'node3' twice"),
    (_three_inputs, "normal node5 has inputs .* expected a list of 2"),
    (_missing_node, "must list the nodes node2, node3, node4, node5"),
    (_missing_field, "no field 'op'"),
    (_not_a_list, "must list the nodes"),
])
def test_malformed_bodies_are_refused(damage, message):
    published = load_genotype("auto_reid/retrieval")
    body = copy.deepcopy(dict(published.body))
    damage(body)
    with pytest.raises(GenotypeError, match=message):
        make_space().network(Genotype("auto_reid", 1, body))


def test_one_hot_refuses_ops_outside_the_primitives():
    with pytest.raises(GenotypeError, match=r"genotype uses part_aware; space.primitives=darts has"):
        make_space(primitives="darts").one_hot(load_genotype("auto_reid/retrieval"))


@pytest.mark.parametrize(("changes", "message"), [
    ({"primitives": "nasnet"}, "space.primitives='nasnet' is unknown; known are: .*darts, reid"),
    ({"part_attention": "none"}, "known are: published, qkv"),
    ({"stem": "resnet"}, "known are: cifar, reid, wide"), ({"stem": {"a": 1}}, "space.stem={'a': 1} is unknown"),
    ({"channels": 2}, "space.channels=2 is illegal; expected an integer of at least 3"),
    ({"layers": []}, "space.layers=\\[\\] is illegal"),
    ({"layers": [2, 0]}, "space.layers=0"),
    ({"parts": True}, "space.parts=True"),
])
def test_illegal_arguments_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        make_space(**changes)


def test_drop_path_drops_in_training_only():
    torch.manual_seed(0)
    space = make_space()
    network = space.network(load_genotype("auto_reid/retrieval")).double()
    images = make_images()
    plain = network(images)
    network.set_drop_path(0.5)
    assert not torch.equal(network(images), network(images))
    network.set_drop_path(0.0)
    assert torch.equal(network(images), plain)
    network.set_drop_path(0.5)
    network.eval()
    assert torch.equal(network(images), network(images))
