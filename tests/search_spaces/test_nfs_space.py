"""NFS: what is decided, how masks are derived, and that the pruned network computes what the gated one does."""

import math
from collections import UserList

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.backbones.two_stream import TwoStreamResNet
from nas_reid.conformance import check_search_space
from nas_reid.errors import CheckpointError, ConfigError, GenotypeError
from nas_reid.genotype import Genotype
from nas_reid.nas.relaxation import get_relaxation
from nas_reid.network.complexity import count_macs, count_parameters
from nas_reid.network.weights import read_weights
from nas_reid.record.pictures import draw_genotype
from nas_reid.registry import load_genotype, space_of
from nas_reid.search_space import Mix
from search_spaces.nfs.derive import kept
from tests.search_spaces.nfs_spaces import make_space, random_images, random_probs

MODALITY = torch.tensor([1, 0, 0, 1, 1, 0])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def hard(probs):
    """The mixing weights of fully open and fully shut gates."""
    return {name: Mix(p, p.argmax(1)) for name, p in probs.items()}


def with_statistics(network):
    """The network in evaluation mode, its batch norms having seen something."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for value in (module.running_mean, module.weight.data, module.bias.data):
                value.add_(0.1 * torch.randn_like(value))
            module.running_var.mul_(1 + 0.5 * torch.rand_like(module.running_var))
    return network.eval()


def inherited(space, genotype, supernet):
    network = space.network(genotype).eval()
    state = {f"trunk.{name}": value for name, value in supernet.state_dict().items()}
    converted = space.convert_weights(state, genotype)
    network.load_state_dict({name.removeprefix("trunk."): value for name, value in converted.items()})
    return network


def open_genotype(space):
    """The genotype that keeps everything."""
    return Genotype(space.name, space.version, {}, arguments=space.arguments)


@pytest.mark.parametrize("changes", [{}, {"combination": "sum"}, {"position": "block"}, {"levels": "channels"},
                                     {"levels": "pixels"}, {"specific": 0}, {"specific": 3}, {"depth": 50},
                                     {"norms": "split"}, {"shared_channels": "all"},
                                     {"derivation": "top_k", "ratio": {"channels": 0.7, "pixels": 0.9}}], ids=str)
def test_conforms(changes):
    check_search_space(make_space(**changes))


def test_size_of_the_space_at_288_x_144():
    space = make_space(depth=50, width=1.0, image_size=[288, 144])
    rows = {decision.name: decision.rows for decision in space.decisions()}
    channels = {name: count for name, count in rows.items() if "channels" in name}
    for modality in ("visible", "infrared"):
        own = sum(count for name, count in channels.items() if name.endswith(modality))
        assert own + rows["layer4_channels"] == 3840
        assert sum(count for name, count in rows.items() if name.endswith(f"pixels_{modality}")) == 3564
    assert sum(rows.values()) == 12_760 and len(rows) == 15
    assert all(decision.choices[1].initial == 2.0 and decision.choices[1].cost == 1 for decision in space.decisions())


def test_cells_after_every_block():
    space = make_space(depth=50, width=1 / 16, position="block", specific=2)
    assert [*space.cells][:4] == ["layer2_0", "layer2_1", "layer2_2", "layer2_3"] and len(space.cells) == 13
    assert [name for name, cell in space.cells.items() if cell.shared_channels] == ["layer4_0", "layer4_1", "layer4_2"]


@pytest.mark.parametrize("combination", ["product", "sum"])
def test_open_gates_are_the_plain_network(combination):
    space = make_space(combination=combination)
    supernet = with_statistics(space.supernet())
    plain = TwoStreamResNet(18, 1 / 16).eval()
    plain.load_state_dict(supernet.state_dict())
    alphas = {d.name: torch.tensor([[0.0, 40.0]]).expand(d.rows, 2) for d in space.decisions()}
    for relaxation in ("binary_concrete", "hard_concrete", "softmax"):
        mixes = get_relaxation(relaxation).evaluation_mixes(alphas)
        difference = supernet(random_images(), mixes, MODALITY) - plain(random_images(), MODALITY)
        assert difference.abs().max() < 1e-6


@pytest.mark.parametrize("changes", [{}, {"combination": "sum"}, {"position": "block"}, {"levels": "channels"},
                                     {"depth": 50, "position": "block"}, {"specific": 2},
                                     {"norms": "split", "specific": 0, "position": "block"}], ids=str)
def test_the_pruned_network_computes_what_the_gated_supernet_does(changes):
    space = make_space(**changes)
    genotype = space.derive(random_probs(space))
    supernet = with_statistics(space.supernet())
    network = inherited(space, genotype, supernet)
    mixes = hard(space.one_hot(genotype))
    left = torch.ones(supernet.out_channels, dtype=torch.bool)
    if space.combination == "product":
        left = torch.from_numpy(space.feature_masks(genotype)[-1].channels.any(0))
    for images, modality in ((random_images(), MODALITY), (random_images(3), torch.ones(3, dtype=torch.long)),
                             (random_images(3), None), (random_images(size=(96, 48)), MODALITY)):
        full, pruned = supernet(images, mixes, modality), network(images, modality)
        assert full.abs().max() > 0.01 and (full[:, ~left] == 0).all()
        assert (full[:, left] - pruned).abs().max() < 1e-5
    if space.combination == "product":
        whole = space.network(open_genotype(space))
        assert count_parameters(network) < count_parameters(whole)
        assert count_macs(network, (64, 32)) < count_macs(whole, (64, 32))
        assert network.out_channels < supernet.out_channels


def test_what_one_modality_keeps_stays_and_is_masked_for_the_other():
    space = make_space(levels="channels")
    ones = {d.name: torch.tensor([[0.0, 1.0]]).repeat(d.rows, 1) for d in space.decisions()}
    ones["layer1_channels_visible"][0] = ones["layer1_channels_visible"][1] = torch.tensor([1.0, 0.0])
    ones["layer1_channels_infrared"][1] = torch.tensor([1.0, 0.0])
    network = space.network(space.derive(ones)).eval()
    seen = []
    network.layer2.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network.layer2.get_submodule("0").register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(random_images(), MODALITY)
    assert seen[0].shape[1] == 3  # of four channels, the one that neither keeps is gone
    assert (seen[0][:3, 0] == 0).all() and (seen[0][3:, 0] != 0).any()  # visible images stand first


def test_the_last_stage_keeps_the_same_channels_for_both_modalities():
    space = make_space()
    body = space.derive(random_probs(space)).body
    assert body["layer4"]["channels"]["visible"] == body["layer4"]["channels"]["infrared"]
    assert body["layer3"]["channels"]["visible"] != body["layer3"]["channels"]["infrared"]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), rows=st.integers(1, 30), floor=st.floats(0, 1), top=st.booleans())
def test_derivation(seed, rows, floor, top):
    probs = torch.rand(rows, 2, generator=torch.Generator().manual_seed(seed))
    mask = kept(probs, derivation="top_k" if top else "threshold", ratio=max(floor, 0.01), floor=floor)
    score = probs[:, 1] - probs[:, 0]
    assert mask.sum() >= 1 and (not mask.any() or mask.all() or score[mask].min() >= score[~mask].max())
    if top:
        assert mask.sum() == max(1, math.ceil(max(floor, 0.01) * rows - 1e-9))
    else:
        assert mask[score > 0].all() and mask.sum() == max((score > 0).sum(), 1, math.ceil(floor * rows - 1e-9))


def test_each_level_keeps_its_own_share():
    space = make_space(derivation="top_k", ratio={"channels": 0.5, "pixels": 1.0})
    masks = space.feature_masks(space.derive(random_probs(space)))
    assert all(place.pixels.all() and place.channels.mean() == 0.5 for place in masks)


def test_a_threshold_is_passed_by_what_is_likelier_kept_and_the_floor_takes_the_likeliest():
    probs = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.8, 0.2]])
    assert kept(probs, derivation="threshold", ratio=1.0, floor=0.5).tolist() == [False, True, True, False]
    assert kept(1 - probs, derivation="threshold", ratio=1.0, floor=0.25).tolist() == [True, True, False, True]


def test_masks_follow_the_size_of_the_images():
    space = make_space(levels="pixels")
    ones = {d.name: torch.tensor([[0.0, 1.0]]).repeat(d.rows, 1) for d in space.decisions()}
    ones["layer4_pixels_visible"][16:] = torch.tensor([1.0, 0.0])  # a map of 4 x 2 at 64 x 32
    ones["layer4_pixels_visible"][4:] = torch.tensor([1.0, 0.0])
    network = space.network(space.derive(ones)).eval()
    small, large = network(random_images(2)), network(random_images(2, size=(128, 64)))
    assert (small[:, :, 2:] == 0).all() and (small[:, :, :2] != 0).any()
    assert large.shape[2:] == (8, 4) and (large[:, :, 5:] == 0).all() and (large[:, :, :3] != 0).any()


@pytest.mark.parametrize("changes", [{"specific": 2}, {"norms": "split"}], ids=str)
def test_imagenet_weights_reach_both_streams_and_are_cut(changes):
    space = make_space(**changes)
    genotype = space.derive(random_probs(space))
    source = make_space(specific=0).supernet().state_dict()
    state = {name.removeprefix("stem."): torch.randn(value.shape) if value.is_floating_point() else value
             for name, value in source.items()} | {"fc.weight": torch.zeros(1000, 32), "fc.bias": torch.zeros(1000)}
    converted = space.convert_weights(state, genotype)
    for stream in ("visible", "infrared"):
        assert torch.equal(converted[f"trunk.{stream}.conv1.weight"], state["conv1.weight"])
        ours, theirs = ((f"{stream}.layer1.1.bn2", "layer1.1.bn2") if "specific" in changes else
                        (f"layer3.1.bn1.{stream}", "layer3.1.bn1"))
        assert torch.equal(converted[f"trunk.{ours}.bias"], state[f"{theirs}.bias"])
    network = space.network(genotype)
    network.load_state_dict({name.removeprefix("trunk."): value for name, value in converted.items()})
    last = network.layer4.get_submodule("1").bn2
    assert len(getattr(last, "infrared", last).bias) == network.out_channels < 32
    supernet = space.supernet()
    whole = space.supernet_weights(state)
    supernet.load_state_dict({name.removeprefix("trunk."): value for name, value in whole.items()})


def test_weights_of_another_depth_are_refused(tmp_path):
    space, file = make_space(), tmp_path / "resnet.pth"
    torch.save({name.removeprefix("stem."): value for name, value in
                make_space(specific=0, depth=34).supernet().state_dict().items() if "layer4" not in name}, file)
    genotype = open_genotype(space)
    with pytest.raises(CheckpointError, match=r"missing: trunk\.layer4"):
        read_weights(file, space, genotype, trunk=space.network(genotype))


def broken(change):
    space = make_space()
    body = Genotype.from_json(space.derive(random_probs(space)).to_json()).body
    change(body)
    return space, Genotype(space.name, space.version, body, arguments=space.arguments)


@pytest.mark.parametrize(("change", "message"), [
    (lambda b: b["layer2"]["channels"].update(infrared=""), "layer2 keeps none of its 8 channels for infrared"),
    (lambda b: b["layer3"]["pixels"].update(visible=[".."] * 4), "keeps none of its 8 pixels for visible"),
    (lambda b: b["layer4"]["channels"].update(visible="0"), "layer4: visible and infrared keep different channels"),
    (lambda b: b["layer1"]["channels"].update(visible="0-4"), "'0-4' is no run of channels below 4"),
    (lambda b: b["layer1"]["channels"].update(visible=[1]), "is no run of channels below 4"),
    (lambda b: b["layer1"]["pixels"].update(visible=["##", "#"]), "rows of equal length"),
    (lambda b: b["layer1"]["pixels"].update(visible=["##"]), "expected one size"),
    (lambda b: b["layer1"].update(rows=3), r"cell layer1 has .*rows.*; expected channels, pixels"),
    (lambda b: b["layer1"]["pixels"].pop("visible"), r"expected visible, infrared"),
    (lambda b: b.update(layer5={}), r"masks for \['layer5'\]; this network's cells are: layer1, layer2"),
])
def test_masks_that_make_no_sense_are_refused(change, message):
    space, genotype = broken(change)
    with pytest.raises(GenotypeError, match=message):
        space.network(genotype)


@pytest.mark.parametrize("changes", [{"width": 1 / 4}, {"depth": 50}], ids=str)
def test_masks_of_another_width_are_refused(changes):
    """Else the new channels would all be dropped; without masks, or with the same widths, nothing is wrong."""
    space = make_space()
    genotype = space.derive(random_probs(space))
    with pytest.raises(GenotypeError, match=r"layer1: its masks were searched for 4 channels, and this network has 16; "
                                            r"keep depth=18 and width=0\.0625 of the search"):
        make_space(**changes).network(genotype)
    make_space(**changes).network(open_genotype(space))
    assert make_space(depth=34).network(genotype).out_channels == space.network(genotype).out_channels


@pytest.mark.parametrize(("changes", "message"), [
    ({"depth": 101}, r"space.depth=101 is unknown; known are: 18, 34, 50"),
    ({"specific": 5}, r"space.specific=5"), ({"width": 0}, r"space.width=0"), ({"last_stride": 3}, "space.last_stride"),
    ({"levels": "rows"}, "space.levels='rows'"), ({"combination": "max"}, "space.combination"),
    ({"position": "stem"}, "space.position"), ({"derivation": "best"}, "space.derivation='best'"),
    ({"ratio": 0}, "space.ratio=0"), ({"floor": 1.5}, "space.floor=1.5"),
    ({"ratio": {"channels": 0.7}}, r"space.ratio=\{'channels': 0.7\} is illegal; .* or one each"),
    ({"ratio": {"channels": 0.7, "pixels": 0}}, "space.ratio="), ({"floor": {"rows": 0.5}}, "space.floor="),
    ({"image_size": [64]}, r"space.image_size=\[64\]"), ({"image_size": [64, 0]}, r"space.image_size=\[64, 0\]"),
    ({"costs": "macs", "levels": "pixels"}, "space.costs=macs does not go with space.levels=pixels"),
    ({"costs": "macs", "combination": "sum"}, "space.costs=macs does not go with space.levels=both and .*=sum"),
    ({"shared_channels": "none"}, "space.shared_channels='none'"), ({"costs": "flops"}, "space.costs='flops'"),
    ({"norms": "both"}, "space.norms='both'"), ({"norms": "split", "specific": 2}, "norms=split does not go with"),
    ({"initial_logit": "open"}, "space.initial_logit='open'"),
])
def test_illegal_arguments(changes, message):
    with pytest.raises(ConfigError, match=message):
        make_space(**changes)


def test_masks_are_drawn_over_the_mean_images(tmp_path):
    space = make_space()
    genotype = space.derive(random_probs(space))
    store = UserList([np.full((8, 4, 3), 200, np.uint8)] * 2)
    store.modalities = torch.tensor([0, 1])
    blank, shown = (draw_genotype(space, genotype, tmp_path / f"{len(stores)}.png", stores=stores)
                    for stores in ((), (store,)))
    assert blank.read_bytes() != shown.read_bytes()
    kept = [place.pixels.mean() for place in space.feature_masks(genotype)]
    assert all(0.25 <= share < 1 for share in kept) and space.feature_masks(open_genotype(space))[0].pixels.all()


def test_the_open_genotype_is_the_plain_two_stream_network():
    genotype = load_genotype("nfs/open")
    with torch.device("meta"):
        network = space_of(genotype).network(genotype)
    stem = 9_408 + 128
    assert count_parameters(network) == 23_508_032 + stem  # ResNet-50 without fc, and a second stem
    assert network.out_channels == 2048
