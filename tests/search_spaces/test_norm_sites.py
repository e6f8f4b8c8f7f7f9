"""CM-NAS's space: 53 sites, plain networks as special cases, and the published file format."""

import pytest
import torch
from torch import nn

from nas_reid.backbones.two_stream import TwoStreamResNet
from nas_reid.conformance import check_search_space, random_one_hot
from nas_reid.errors import GenotypeError
from nas_reid.genotype import Genotype
from nas_reid.network.complexity import count_parameters
from nas_reid.registry import load_genotype, space_of
from nas_reid.search_space import Mix
from search_spaces.norm_sites import NormSites
from search_spaces.norm_sites.importing import from_integers
from tests.search_spaces.nfs_spaces import random_images

ARGUMENTS = {"depth": 18, "width": 1 / 16, "last_stride": 1}
MODALITY = torch.tensor([1, 0, 0, 1, 1, 0])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def genotype_of(space, choice):
    return Genotype(space.name, space.version, dict.fromkeys(space.sites, choice), arguments=space.arguments)


def plain_state():
    """A plain ResNet-18 whose norms have seen something, under torchvision's names."""
    plain = TwoStreamResNet(18, 1 / 16, specific=0)
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.running_mean, module.weight.data, module.bias.data):
                value.add_(0.1 * torch.randn_like(value))
            module.running_var.mul_(1 + torch.rand_like(module.running_var))
    return plain.eval(), {name.removeprefix("stem."): value for name, value in plain.state_dict().items()}


def load(network, state):
    network.load_state_dict({name.removeprefix("trunk."): value for name, value in state.items()})
    return network.eval()


def test_conforms():
    check_search_space(NormSites(**ARGUMENTS))


@pytest.mark.parametrize(("depth", "count"), [(18, 20), (34, 36), (50, 53)])
def test_number_of_sites(depth, count):
    space = NormSites(depth, 1.0, last_stride=1)
    assert len(space.sites) == count == space.decisions()[0].rows


def test_order_of_the_53_sites():
    sites = NormSites(50, 1.0, last_stride=1).sites
    assert sites[:5] == ("bn1", "layer1.0.downsample.1", "layer1.0.bn1", "layer1.0.bn2", "layer1.0.bn3")
    assert sites[5:8] == ("layer1.1.bn1", "layer1.1.bn2", "layer1.1.bn3")
    assert sites[11] == "layer2.0.downsample.1" and sites[-1] == "layer4.2.bn3"


@pytest.mark.parametrize("choice", ["share", "split"])
def test_copied_norms_compute_what_the_plain_network_does(choice):
    space, (plain, state) = NormSites(**ARGUMENTS), plain_state()
    genotype = genotype_of(space, choice)
    network = load(space.network(genotype), space.convert_weights(state | {"fc.weight": torch.zeros(9, 9)}, genotype))
    images = random_images()
    assert (network(images, MODALITY) - plain(images)).abs().max() < 1e-6
    assert count_parameters(network) == count_parameters(plain) + (choice == "split") * sum(
        2 * m.num_features for m in plain.modules() if isinstance(m, nn.BatchNorm2d))


def test_split_norms_depart_after_a_training_step_on_modalities_that_differ():
    space, (plain, state) = NormSites(**ARGUMENTS), plain_state()
    genotype = genotype_of(space, "split")
    network = load(space.network(genotype), space.convert_weights(state, genotype))
    images = random_images()
    images[MODALITY == 1] = 3 * images[MODALITY == 1] + 1
    network.train()(images, MODALITY)
    norm = network.eval().stem.bn1
    assert (norm.visible.running_mean - norm.infrared.running_mean).abs().max() > 0.01
    assert (network(images, MODALITY) - network(images, 1 - MODALITY)).abs().max() > 0.01
    assert (plain(images, MODALITY) - plain(images, 1 - MODALITY)).abs().max() == 0


def test_the_supernet_is_the_fixed_network_with_its_weights():
    space = NormSites(**ARGUMENTS)
    supernet = space.supernet().train()
    mixes = {"sites": Mix(torch.full((20, 2), 0.5))}
    supernet(random_images(), mixes, MODALITY)  # statistics that differ between the norms of a site
    supernet.eval()
    genotype = space.derive(random_one_hot({d.name: d for d in space.decisions()}))
    assert set(genotype.body.values()) == {"split", "share"}
    network = load(space.network(genotype), space.convert_weights(
        {f"trunk.{name}": value for name, value in supernet.state_dict().items()}, genotype))
    weights = space.one_hot(genotype)["sites"]
    for sampled in (False, True):
        full = supernet(random_images(), {"sites": Mix(weights, weights.argmax(1), sampled)}, MODALITY)
        assert (full - network(random_images(), MODALITY)).abs().max() < 1e-5


def test_a_sampled_site_gives_the_other_norm_its_gradient_where_asked():
    space = NormSites(**ARGUMENTS)
    supernet = space.supernet().double()
    chosen, gradients = random_one_hot({d.name: d for d in space.decisions()})["sites"].double(), []
    for flags in ((False, False), (True, True), (True, False)):
        weights = chosen.clone().requires_grad_()
        mixes = {"sites": Mix(weights, chosen.argmax(1), *flags)}
        supernet(random_images().double(), mixes, MODALITY).square().mean().backward()
        gradients.append(weights.grad)
    full, exact, own = gradients
    torch.testing.assert_close(exact, full)
    torch.testing.assert_close(own, full * chosen)
    assert (full * (1 - chosen)).abs().max() > 1e-6


def test_pretrained_norms_reach_all_three_of_a_site():
    space, (plain, state) = NormSites(**ARGUMENTS), plain_state()
    supernet = load(space.supernet(), space.supernet_weights(state))
    mixes = {"sites": Mix(torch.full((20, 2), 0.5))}
    assert (supernet(random_images(), mixes, MODALITY) - plain(random_images())).abs().max() < 1e-5


def test_import_of_53_integers():
    arguments = {"depth": 50, "width": 1.0, "last_stride": 1}
    text = " ".join(["0"] * 5 + ["1"] * 47 + ["0"])
    genotype = from_integers(text, arguments=arguments, origin="genotype.txt")
    assert [site for site, choice in genotype.body.items() if choice == "split"] == [
        "bn1", "layer1.0.downsample.1", "layer1.0.bn1", "layer1.0.bn2", "layer1.0.bn3", "layer4.2.bn3"]
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert from_integers(text.replace(" ", ", "), arguments=arguments, origin="genotype.txt") == genotype
    for broken, message in (("0 1", "holds 2 entries; expected 53 zeros"), (text.replace("0", "2", 1), "such as '2'")):
        with pytest.raises(GenotypeError, match=message):
            from_integers(broken, arguments=arguments, origin="genotype.txt")


def test_malformed_genotypes_are_refused():
    space = NormSites(**ARGUMENTS)
    genotype = genotype_of(space, "share")
    with pytest.raises(GenotypeError, match="site bn1 is 'none'; it can be: split, share"):
        space.network(Genotype("norm_sites", 1, {**genotype.body, "bn1": "none"}))
    with pytest.raises(GenotypeError, match="has 20 norm sites, this network 53"):
        NormSites(50, 1.0, last_stride=1).network(genotype)


@pytest.mark.parametrize("name", ["share", "split", "split_stem"])
def test_genotypes_that_ship(name):
    genotype = load_genotype(f"norm_sites/{name}")
    with torch.device("meta"):
        network = space_of(genotype).network(genotype)
    norms = 2 * 26_560  # scales and shifts of ResNet-50's 53 batch norms
    assert count_parameters(network) == 23_508_032 + {"share": 0, "split": norms, "split_stem": 128}[name]
