"""OSNet-AIN as a search space, and the family of fixed networks."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.conformance import check_search_space
from nas_reid.errors import ConfigError, GenotypeError
from nas_reid.genotype import Genotype
from nas_reid.nas.relaxation import get_relaxation
from nas_reid.registry import load_genotype, space_of
from nas_reid.search_space import Mix
from search_spaces.osnet_ain.block import PLACEMENTS
from search_spaces.osnet_ain.fusion import FUSIONS, GATED
from search_spaces.osnet_ain.trunk import BLOCKS
from tests.search_spaces.osnet_networks import make_space, published, random_images

NAMES = tuple(PLACEMENTS)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def genotype_of(space, choices):
    return space.derive({block: torch.eye(4)[[NAMES.index(choice)]]
                         for block, choice in zip(BLOCKS, choices, strict=True)})


@pytest.mark.parametrize("changes", [{"candidates": "separate"}, {"candidates": "shared"}, {"execution": "fused"}])
def test_conforms(changes):
    check_search_space(make_space(**changes))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_derive_takes_the_argmax_of_every_row(seed):
    space = make_space()
    generator = torch.Generator().manual_seed(seed)
    alphas = {block: torch.randn(1, 4, generator=generator) for block in BLOCKS}
    for relaxation in ("gumbel", "gumbel_log_relu"):
        genotype = space.derive(get_relaxation(relaxation).probabilities(alphas))
        assert genotype.body == {block: NAMES[alpha.argmax()] for block, alpha in alphas.items()}
        assert space.derive(space.one_hot(genotype)).body == genotype.body
        assert Genotype.from_json(genotype.to_json()) == genotype


def test_the_published_genotype_is_table_1s_last_column():
    genotype = load_genotype("osnet_ain/paper")
    assert list(genotype.body.values()) == ["os_in", "os_in", "os", "os_in", "os_in", "os"]
    assert genotype.arguments["stem"] == "instance"
    assert load_genotype("osnet_ain/plain").arguments["stem"] == "batch"


def test_a_sampled_block_runs_alone_and_gives_what_the_one_hot_mixture_gives():
    supernet = make_space().supernet().eval()
    ran = []
    for block in BLOCKS:
        for name, candidate in supernet.get_submodule(block.replace("_", ".")).items():
            candidate.register_forward_hook(lambda *_, key=(block, name): ran.append(key))
    one_hot = {block: torch.eye(4)[[index % 4]] for index, block in enumerate(BLOCKS)}
    sampled = supernet(random_images(), {block: Mix(w, w.argmax(1), True) for block, w in one_hot.items()})
    assert ran == [(block, NAMES[index % 4]) for index, block in enumerate(BLOCKS)]
    torch.testing.assert_close(sampled, supernet(random_images(), {block: Mix(w) for block, w in one_hot.items()}))
    assert len(ran) == 6 + 24


def test_a_sampled_block_passes_its_gradient_to_the_alphas():
    supernet = make_space().supernet()
    alphas = {block: torch.zeros(1, 4, requires_grad=True) for block in BLOCKS}
    mixes = get_relaxation("gumbel_sampled")(alphas, temperature=1.0, generator=torch.Generator().manual_seed(0))
    supernet(random_images(), mixes).square().mean().backward()
    assert all(alpha.grad.abs().sum() > 0 for alpha in alphas.values())


@pytest.mark.parametrize("candidates", ["separate", "shared"])
def test_sampled_blocks_can_give_the_alphas_their_full_gradient(candidates):
    supernet = make_space(candidates=candidates).supernet().double()
    alphas = {block: torch.zeros(1, 4, dtype=torch.float64, requires_grad=True) for block in BLOCKS}

    def gradients(relaxation):
        mixes = get_relaxation(relaxation)(alphas, temperature=1.0, generator=torch.Generator().manual_seed(0))
        loss = supernet(random_images(dtype=torch.float64), mixes).square().mean()
        return torch.cat(torch.autograd.grad(loss, list(alphas.values())))

    torch.testing.assert_close(gradients("gumbel_sampled_exact"), gradients("gumbel_hard"), rtol=1e-9, atol=1e-15)


def test_shared_candidates_are_separate_ones_with_equal_weights():
    shared, separate = (make_space(candidates=name).supernet().double() for name in ("shared", "separate"))
    values = shared.state_dict()
    state = {name: values[re.sub(rf"\.({'|'.join(NAMES)})\.", ".shared.", name)] for name in separate.state_dict()}
    separate.load_state_dict(state)
    mixes = {block: Mix(torch.rand(1, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
             for block in BLOCKS}
    images = random_images(dtype=torch.float64)
    torch.testing.assert_close(shared(images, mixes), separate(images, mixes))


@pytest.mark.parametrize("choice", NAMES)
def test_where_a_block_normalises(choice):
    """Inside: the residual's contrast is lost. Outside: every channel is normalised right before the last ReLU."""
    space = make_space()
    block = space.network(genotype_of(space, [choice] * 6)).conv2[1].eval()
    x = torch.rand(2, 64, 8, 4, generator=torch.Generator().manual_seed(0))
    contrast = [1e3]  # so large that the norm's epsilon is not felt
    block.conv3.register_forward_hook(lambda _, __, residual: contrast[0] * residual)
    once = block(x)
    contrast[0] *= 3
    assert ((block(x) - once).abs().max().item() < 1e-4) == PLACEMENTS[choice].inside
    norms = {name: norm for name, norm in block.named_children() if name.startswith("IN")}
    assert list(norms) == {"os": [], "os_in_out": ["IN_in", "IN_out"]}.get(choice, ["IN"])
    assert ("conv3.bn.weight" in block.state_dict()) != PLACEMENTS[choice].inside
    if PLACEMENTS[choice].outside:
        seen = []
        list(norms.values())[-1].register_forward_hook(lambda _, __, y: seen.append(y))
        assert torch.equal(block(x), seen[0].relu())


@pytest.mark.parametrize("fusion", sorted(FUSIONS))
@pytest.mark.parametrize("streams", [1, 3])
def test_every_fusion_trains(fusion, streams):
    space = make_space(fusion=fusion, streams=streams)
    network = space.network(genotype_of(space, ["os"] * 6))
    maps = network(random_images())
    assert maps.shape == (4, 128, 4, 2)
    maps.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_what_fusions_compute():
    streams = [torch.randn(2, 32, 3, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    build = {name: fusion(32, 3) for name, fusion in FUSIONS.items()}
    torch.testing.assert_close(build["addition"](streams), sum(streams))
    assert torch.equal(build["concatenation"](streams), torch.cat(streams, 1))
    torch.testing.assert_close(build["static"](streams), sum(streams) / 2)  # gates start half open

    def gated(gate, x):
        hidden = gate.fc1(x.mean((2, 3), keepdim=True)).relu()
        return x * torch.sigmoid(gate.fc2(hidden))

    for name in ("unified", "stream_wise"):
        torch.testing.assert_close(build[name](streams), sum(gated(build[name], x) for x in streams))
    assert build["stream_wise"].fc2.out_channels == 1 and build["unified"].fc1.out_channels == 2
    pairs = zip(build["separate"], streams, strict=True)
    torch.testing.assert_close(build["separate"](streams), sum(gated(gate, x) for gate, x in pairs))


@pytest.mark.parametrize(("changes", "depths"), [({"streams": 5}, [1, 2, 3, 4, 5]), ({"stream_depth": 2}, [2] * 4)])
def test_streams_grow_by_one_layer_or_are_all_as_deep(changes, depths):
    space = make_space(**changes)
    block = space.network(genotype_of(space, ["os"] * 6)).conv3[0]
    assert [len(stream.layers) for stream in block.conv2] == depths


def test_initial_values_are_torchreids():
    torch.manual_seed(0)
    network = published("paper", num_classes=751)
    trunk = network.trunk
    expected = {trunk.conv1.conv: math.sqrt(2 / (64 * 49)), trunk.conv2[0].conv2[0].layers[0].conv2: 0.0589,
                trunk.conv2[0].gate.fc1: 0.707, network.head.embedding[0]: 0.01, network.head.classifier: 0.01}
    for layer, std in expected.items():
        weight = layer.weight
        assert weight.std().item() == pytest.approx(std, abs=4 * std / math.sqrt(2 * weight.numel()))
    assert not any(value.any() for name, value in network.named_parameters() if name.endswith("bias"))
    assert (trunk.conv3[1].IN.weight == 1).all() and (trunk.conv5.bn.weight == 1).all()


@pytest.mark.parametrize(("changes", "message"), [
    ({"width": 0.2}, r"width=0\.2 leaves conv2's blocks 51 channels.*at least 0\.25"),
    ({"width": 0}, "positive"),
    ({"width": "wide"}, "positive"),
    ({"fusion": "attention"}, "'attention'.*addition, concatenation"), ({"fusion": ["addition"]}, "space.fusion="),
    ({"stem": "layer"}, "'layer'.*batch, instance"),
    ({"convolution": "deep"}, "'deep'.*full, lite"),
    ({"candidates": "none"}, "'none'.*separate, shared"),
    ({"execution": "quick"}, "'quick'.*fused, plain"),
    ({"streams": 0}, "streams=0"),
    ({"stream_depth": -1}, "stream_depth=-1"),
])
def test_illegal_arguments(changes, message):
    with pytest.raises(ConfigError, match=message):
        make_space(**changes)


def test_without_gates_narrower_networks_are_legal():
    assert make_space(width=0.05, fusion="addition").arguments["width"] == 0.05
    assert set(GATED) < set(FUSIONS)


def test_images_smaller_than_the_stride():
    space = make_space()
    network = space.network(genotype_of(space, ["os_in"] * 6))
    for height, width in ((32, 16), (16, 32)):
        assert network(random_images(height=height, width=width)).shape[2:] == (height // 16, width // 16)
    for height, width in ((16, 16), (15, 5)):
        with pytest.raises(ConfigError, match=r"too small.*image_size=\[32,16\]"):
            network(random_images(height=height, width=width))


@pytest.mark.parametrize(("body", "message"), [
    ({**dict.fromkeys(BLOCKS, "os"), "conv5_0": "os"}, "conv5_0.*expected the blocks conv2_0"),
    ({**dict.fromkeys(BLOCKS, "os"), "conv3_1": "bn"}, "conv3_1 is 'bn'; it can be: os, os_in"),
    ({"conv2_0": "os"}, "expected the blocks"),
])
def test_malformed_genotypes(body, message):
    space = make_space()
    genotype = Genotype("osnet_ain", 1, body)
    for call in (space.network, space.one_hot, space.graphs):
        with pytest.raises(GenotypeError, match=message):
            call(genotype)


def test_the_genotype_rebuilds_its_space():
    space = make_space(width=0.5, fusion="separate", stem="batch")
    assert space_of(genotype_of(space, ["os"] * 6)).arguments == space.arguments


def test_graphs_name_the_chosen_blocks():
    space = make_space()
    genotype = load_genotype("osnet_ain/paper")
    (graph,) = space.graphs(genotype)
    assert [edge.label for edge in graph.edges] == [*genotype.body.values(), ""]
    (graph,) = space.supernet_graphs({block: torch.tensor([[0.1, 0.2, 0.3, 0.4]]) for block in BLOCKS})
    assert len(graph.edges) == 6 * 4 + 1 and graph.edges[1].weight == pytest.approx(0.2)
