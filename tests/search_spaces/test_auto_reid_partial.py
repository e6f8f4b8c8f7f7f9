"""Partial channel connections: the mixture by hand, fused equal to plain, searched edges, unchanged genotypes."""

import pytest
import torch
from torch.nn import functional as F

from nas_reid.conformance import check_search_space
from nas_reid.errors import ConfigError
from nas_reid.registry import load_genotype
from search_spaces.auto_reid.partial import bypass, chosen_edges, edge_weights, join
from search_spaces.auto_reid.supernet import PartialMixedOp
from tests.search_spaces.auto_reid_spaces import make_alphas, make_images, make_space, softmax_mixes
from tests.search_spaces.test_auto_reid_fused import check_equal, make_pair

PARTIAL = {"channels": 12, "partial": 4, "nodes": 2, "parts": 2}


def test_a_shuffle_by_hand() -> None:
    # Parts (0 1), (2 3), (4 5): the firsts of all parts, then the seconds.
    searched, passed = torch.tensor([[0, 1]]), torch.tensor([[2, 3, 4, 5]])
    assert join(searched, passed, 3).tolist() == [[0, 2, 4, 1, 3, 5]]


def test_an_edge_searches_its_first_channels_and_pools_the_others_where_it_reduces() -> None:
    x = torch.randn(2, 6, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    same = PartialMixedOp({"none": torch.nn.Identity(), "tanh": torch.nn.Tanh()}, partial=3, stride=1)
    expected = torch.stack([0.7 * x[:, 0].tanh(), x[:, 2], x[:, 4], 0.7 * x[:, 1].tanh(), x[:, 3], x[:, 5]], dim=1)
    torch.testing.assert_close(same(x, weights, None, False), expected)
    halved = PartialMixedOp({"none": torch.nn.Identity(), "pool": torch.nn.AvgPool2d(2, ceil_mode=True)}, partial=3,
                            stride=2)(x, weights, None, False)
    assert halved.shape == (2, 6, 3, 2)
    padded = F.pad(x[:, 2:], (0, 1, 0, 1), value=-torch.inf)
    highest = padded.unflatten(3, (2, 2)).unflatten(2, (3, 2)).amax((3, 5))  # windows beyond the edge see what is there
    torch.testing.assert_close(halved[:, [1, 4, 2, 5]], highest)
    assert torch.equal(bypass(x, 1), x)


@pytest.mark.parametrize("changes", [{}, {"primitives": "darts", "partial": 2, "channels": 6}], ids=str)
def test_fused_equals_plain(changes) -> None:
    changes = {**PARTIAL, **changes}
    check_equal(*make_pair(**changes), make_images(height=33, width=9), make_alphas(make_space(**changes)))


def test_partial_channels_conform() -> None:
    check_search_space(make_space(**PARTIAL))


def test_the_edges_into_a_node_are_a_decision_in_row_order() -> None:
    space = make_space(**PARTIAL)
    decisions = {decision.name: decision for decision in space.decisions()}
    assert list(decisions) == ["normal", "reduce", "normal_node2", "normal_node3", "reduce_node2", "reduce_node3"]
    assert [choice.name for choice in decisions["reduce_node3"].choices] == ["input0", "input1", "node2"]
    weights = {"normal_node2": torch.tensor([[0.1, 0.9]]), "normal_node3": torch.tensor([[0.2, 0.3, 0.5]])}
    assert edge_weights(weights, "normal", 2).tolist() == pytest.approx([0.1, 0.9, 0.2, 0.3, 0.5])
    assert [decision.name for decision in make_space().decisions()] == ["normal", "reduce"]


def test_a_node_is_the_weighted_sum_of_its_edges() -> None:
    torch.manual_seed(0)
    space = make_space(**PARTIAL, execution="plain")
    cell, images = space.supernet().double().cells[0], torch.randn(4, 12, 8, 4, dtype=torch.float64)
    mixes = softmax_mixes(make_alphas(space))
    weights = mixes["normal"].weights
    nodes = cell(images, images, weights, None, False, [mixes["normal_node2"], mixes["normal_node3"]])
    sources = [preprocess(images) for preprocess in cell.preprocess]
    outputs = [cell.edges[row](sources[row], weights[row], None, False) for row in range(2)]
    beta = mixes["normal_node2"].weights[0]
    torch.testing.assert_close(nodes[:, :12], beta[0] * outputs[0] + beta[1] * outputs[1])


def test_derive_weighs_an_op_with_its_edge() -> None:
    space = make_space(**PARTIAL)
    probs = {decision.name: torch.full((decision.rows, len(decision.choices)), 1 / len(decision.choices))
             for decision in space.decisions()}
    probs["normal"][2:, 4] = torch.tensor([0.9, 0.5, 0.4])   # node3's edges: the ops alone would keep input0 and input1
    probs["normal_node3"] = torch.tensor([[0.1, 0.3, 0.6]])  # 0.09, 0.15, 0.24
    genotype = space.derive(probs)
    assert [entry["source"] for entry in genotype.body["normal"][1]["inputs"]] == ["input1", "node2"]
    assert genotype.probabilities["normal_node3"][0] == pytest.approx([0.1, 0.3, 0.6])
    assert "partial" not in genotype.arguments


def test_a_genotype_and_its_network_do_not_know_of_partial_channels() -> None:
    genotype = load_genotype("auto_reid/retrieval")
    changes = {"channels": 12, "partial": 4}
    space = make_space(**changes)
    rows = space.one_hot(genotype)
    assert space.derive(rows).body == genotype.body
    assert all(sorted(row.flatten().tolist())[-2:] == [0.5, 0.5] and row.sum() == 1
               for name, row in rows.items() if "_" in name)
    with torch.device("meta"):
        partial_network, network = (make_space(**other).network(genotype) for other in (changes, {"channels": 12}))
    assert {name: value.shape for name, value in partial_network.state_dict().items()} == {
        name: value.shape for name, value in network.state_dict().items()}
    assert chosen_edges(genotype.body["normal"], "normal", 4).keys() < rows.keys()


@pytest.mark.parametrize(("changes", "message"), [
    ({"partial": 0}, "space.partial=0 is illegal; expected an integer of at least 1"),
    ({"partial": 4}, r"space.partial=4 of space.channels=6 leaves 1\.5 channels .* such as space.channels=16"),
    ({"partial": 4, "channels": 8}, r"leaves 2 channels to the ops; expected a whole number of at least 3"),
])
def test_widths_that_cannot_be_shared_out_are_refused(changes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make_space(**changes)
