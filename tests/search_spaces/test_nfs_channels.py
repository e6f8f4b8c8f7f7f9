"""NFS: what channels cost, and which of them the modalities share."""

import pytest

from nas_reid.genotype import Genotype
from nas_reid.nas.bounds import declared_cost
from nas_reid.network.complexity import count_macs
from tests.search_spaces.nfs_spaces import make_space, random_probs


@pytest.mark.parametrize("position", ["stage", "block"])
@pytest.mark.parametrize("depth", [18, 50])
def test_a_channel_costs_the_macs_that_the_network_without_it_saves(position, depth):
    space = make_space(costs="macs", position=position, depth=depth)
    open_, size = Genotype(space.name, space.version, {}, arguments=space.arguments), space.image_size
    full = count_macs(space.network(open_), size)
    for cell in space.cells.values():
        probs = space.one_hot(open_)
        for name in set(cell.channel_decisions()):
            probs[name][::3] = probs[name][::3].flip(1)  # a third, in both modalities
        saved = full - count_macs(space.network(space.derive(probs)), size)
        dropped = declared_cost(space, open_, space.one_hot(open_)) - declared_cost(space, space.derive(probs), probs)
        assert dropped == pytest.approx(saved) and saved > 0


def test_costs_are_one_each_unless_asked_for_macs_and_pixels_save_none():
    assert {decision.choices[1].cost for decision in make_space().decisions()} == {1.0}
    pixels = [decision for decision in make_space(costs="macs").decisions() if "pixels" in decision.name]
    assert pixels and all(choice.cost == 0 for decision in pixels for choice in decision.choices)


def test_all_channels_can_be_shared_by_the_modalities():
    space = make_space(shared_channels="all", position="block")
    names = [decision.name for decision in space.decisions() if "channels" in decision.name]
    assert names == [f"{cell}_channels" for cell in space.cells]
    body = space.derive(random_probs(space)).body
    assert body and all(mask["channels"]["visible"] == mask["channels"]["infrared"] for mask in body.values())
