"""Parameters, multiply-accumulates and entries of OSNet against the published ones; all on the meta device."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from nas_reid.modules.head import Head
from nas_reid.network.complexity import count_macs, count_parameters
from nas_reid.network.model import ReIDNetwork
from nas_reid.registry import load_genotype
from nas_reid.search_space import Mix
from search_spaces.osnet_ain import OSNetAIN
from search_spaces.osnet_ain.torchreid_keys import to_torchreid
from tests.search_spaces.osnet_networks import make_space, published

WIDTHS = {1.0: (2_169_508, 978_878_352), 0.75: (1_285_754, 571_754_536), 0.5: (630_034, 272_901_064),
          0.25: (201_864, 82_316_000)}


@pytest.fixture(autouse=True)
def on_meta():
    with torch.device("meta"):
        yield


def without_classifier(network: ReIDNetwork) -> int:
    return count_parameters(network) - count_parameters(network.head.classifier)


def bias_additions(network: ReIDNetwork) -> int:
    """What torchreid counts beyond us: one operation per output of a layer with bias, gates once per stream."""
    gates = 4 * sum(module.out_channels for module in network.trunk.modules()
                    if isinstance(module, nn.Conv2d) and module.bias is not None)
    return gates + network.head.embedding[0].out_features


@pytest.mark.parametrize("name", ["plain", "paper"])
@pytest.mark.parametrize("width", WIDTHS)
def test_published_widths(name, width):
    network = published(name, width=width).eval()  # evaluation leaves the classifier out
    params, macs = WIDTHS[width]
    assert without_classifier(network) == params
    assert count_macs(network, (256, 128)) + bias_additions(network) == macs


def test_published_counts_of_the_variants():
    assert without_classifier(published("ibn")) == 2_170_532
    assert count_parameters(published("paper", num_classes=751)) == 2_554_771
    full = published("plain", convolution="full").eval()
    assert without_classifier(full) == 6_869_028
    assert count_macs(full, (256, 128)) == pytest.approx(3_376.2e6, rel=1e-4)


@pytest.mark.parametrize(("size", "macs"), [((192, 96), 550_748_048), ((128, 64), 244_940_688), ((64, 32), 61_456_272),
                                            ((384, 128), 1_468_170_128)])
def test_published_resolutions(size, macs):
    network = published("plain").eval()
    assert count_macs(network, size) + bias_additions(network) == macs


@pytest.mark.parametrize(("name", "family", "entries"), [("plain", "osnet", 567), ("ibn", "osnet", 568),
                                                         ("paper", "osnet_ain", 552)])
def test_entries_under_torchreids_names(name, family, entries):
    state = to_torchreid(published(name).state_dict(), family)
    assert len(state) == entries
    assert ("conv2.0.conv2a.conv1.weight" in state) == ("conv3.2.0.conv.weight" in state) == (family == "osnet")


def test_the_search_network_is_the_published_one():
    space = make_space(width=1.0)
    trunk, decisions = space.supernet(), space.decisions()
    head = Head(trunk.out_channels, 10, **OSNetAIN.head, running_stats=False)
    alphas = sum(decision.rows * len(decision.choices) for decision in decisions)
    assert len(decisions) == 6 and alphas == 24
    # The published count includes the alphas, which are parameters of the blocks there.
    assert without_classifier(ReIDNetwork(trunk, head)) + alphas == 6_344_296
    assert len(trunk.state_dict()) + len(head.state_dict()) + len(decisions) == 1_526
    mixes = {decision.name: Mix(torch.zeros(1, 4)) for decision in decisions}
    macs = count_macs(trunk, (256, 128), mixes=mixes)
    assert macs / count_macs(published("paper").trunk, (256, 128)) == pytest.approx(3.02, abs=0.01)


def test_instance_norm_inside_is_free_and_outside_costs_its_scale_and_shift():
    space = make_space(width=1.0)
    genotype = load_genotype("osnet_ain/plain")
    counts = [count_parameters(space.network(replace(genotype, body=dict.fromkeys(genotype.body, choice))))
              for choice in ("os", "os_in", "os_out", "os_in_out")]
    outside = 2 * 2 * (256 + 384 + 512)
    assert [count - counts[0] for count in counts] == [0, 0, outside, outside]


def test_cost_counts_instance_norms_by_the_size_of_their_maps():
    costs = {d.name: [choice.cost for choice in d.choices] for d in make_space(width=1.0).decisions()}
    assert costs["conv2_0"] == costs["conv2_1"] == [0, 1, 1, 2]
    assert costs["conv3_0"] == [0, 0.375, 0.375, 0.75]
    assert costs["conv4_1"] == [0, 0.125, 0.125, 0.25]
