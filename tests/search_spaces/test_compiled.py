"""torch.compile takes a network of every space as one graph, the same whatever changes from epoch to epoch."""

import warnings
from collections.abc import Iterator
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from nas_reid.search_space import DropsPaths, Mix, SearchSpace
from search_spaces.auto_reid.network import DropPath
from search_spaces.norm_sites import NormSites
from tests.search_spaces import auto_reid_spaces, nfs_spaces, osnet_networks

SIZE = (32, 16)
SPACES = {
    "auto_reid": partial(auto_reid_spaces.make_space, nodes=1),
    "osnet_ain": partial(osnet_networks.make_space, width=1 / 16, streams=1, fusion="addition"),
    "nfs": partial(nfs_spaces.make_space, image_size=list(SIZE), position="block", specific=2),
    "norm_sites": partial(NormSites, depth=18, width=1 / 16, last_stride=1)}
MODALITIES = torch.arange(4) % 2


class Graphs(list[GraphModule]):
    """A backend that compiles nothing and keeps the graphs that it was given."""

    def __call__(self, graph: GraphModule, _inputs: object) -> GraphModule:
        self.append(graph)
        return graph


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """What other tests compiled does not count."""
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor")  # torch looks if mixing weights have one
        yield
    torch._dynamo.reset()


def mixes_of(space: SearchSpace, seed: int) -> dict[str, Mix]:
    generator = torch.Generator().manual_seed(seed)
    return {decision.name: Mix(torch.rand(decision.rows, len(decision.choices), generator=generator).softmax(1)
                               .requires_grad_()) for decision in space.decisions()}


def images(seed: int) -> Tensor:
    return torch.randn(4, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", SPACES)
def test_a_supernet_is_one_graph_whatever_the_weights(name: str) -> None:
    space, graphs = SPACES[name](), Graphs()
    torch.manual_seed(0)
    supernet = space.supernet()
    expected = supernet(images(1), mixes_of(space, 1), modality=MODALITIES)
    supernet.compile(backend=graphs, fullgraph=True)  # which refuses to break
    supernet(images(0), mixes_of(space, 0), modality=MODALITIES).sum().backward()
    output = supernet(images(1), mixes_of(space, 1), modality=MODALITIES)
    assert len(graphs) == 1
    torch.testing.assert_close(output, expected)


def fixed(space: SearchSpace) -> nn.Module:
    return space.network(space.derive({decision.name: torch.full((decision.rows, len(decision.choices)), 0.5)
                                       for decision in space.decisions()}))


@pytest.mark.parametrize("name", ["auto_reid", "nfs"])
def test_a_fixed_network_is_one_graph_in_training_whatever_the_drop_path(name: str) -> None:
    torch.manual_seed(0)
    network, graphs = fixed(SPACES[name]()).train(), Graphs()
    network.compile(backend=graphs, fullgraph=True)
    for epoch in range(3):
        if isinstance(network, DropsPaths):
            network.set_drop_path(0.1 * epoch)
        network(images(epoch), modality=MODALITIES).sum().backward()
    assert len(graphs) == 1
    average = deepcopy(network)  # as a weight average makes one
    for parameter in average.parameters():
        parameter.data.zero_()
    assert not average(images(0), modality=MODALITIES).any() and network(images(0), modality=MODALITIES).any()


def test_a_compiled_drop_path_drops_its_share_of_images_and_keeps_the_mean() -> None:
    drop, x = DropPath().train(), torch.ones(4000, 2, 1, 1)
    drop.compile(backend="eager", fullgraph=True)
    for rate in (0.0, 0.25):
        drop.set_rate(rate)
        found = drop(x)
        assert found.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)] if rate else [1.0])
        assert torch.equal(found[:, 0], found[:, 1]) and found.mean().item() == pytest.approx(1, abs=0.04)
