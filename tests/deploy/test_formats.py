"""What is exported computes what PyTorch computes, for every space, or it is refused."""

import logging

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

import nas_reid.deploy.formats as deployment
from nas_reid.deploy.formats import FORMATS, Deployed, check, export, plain_runner
from nas_reid.deploy.inference import folded_norms
from nas_reid.errors import ConfigError, ExportError
from nas_reid.genotype import Genotype
from nas_reid.modules.head import build_head, head_arguments
from nas_reid.network.model import ReIDNetwork
from nas_reid.registry import load_genotype, space_of
from search_spaces.norm_sites import NormSites
from tests.search_spaces.nfs_spaces import make_space, random_probs

SIZE = (64, 32)
# An export takes seconds, in proportion to the operations of the network: as few as possible. Cells of auto_reid are
# exported in tests/cli/test_deployment.py, with the same check.
NETWORKS = {
    "osnet_ain/paper": {"width": 0.25, "streams": 2},
    "resnet/resnet50_ibn_a": {"channels": 4},
    "nfs": {},
    "norm_sites": {},
}


def genotype_of(reference: str) -> Genotype:
    """A published one, or of ResNet-18 one that drops features, and one with either norm at every other site."""
    if reference == "nfs":
        space = make_space()
        return space.derive(random_probs(space))
    if reference == "norm_sites":
        space = NormSites(18, 1 / 16, last_stride=1)
        return space.derive({"sites": one_hot(torch.arange(len(space.sites)) % 2, 2).float()})
    return load_genotype(reference)


def trained(reference: str, **network: float) -> ReIDNetwork:
    torch.manual_seed(0)
    genotype = genotype_of(reference)
    space = space_of(genotype, network)
    trunk = space.network(genotype)
    built = ReIDNetwork(trunk, build_head(trunk.out_channels, 5, **head_arguments({}, space))).eval()
    for name, tensor in built.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.uniform_(-0.5, 0.5).add_(float(name.endswith("var")))
    return built


def difference(network: nn.Module, name: str, *, l2_normalise: bool = False, tolerance: float = 1e-4) -> float:
    deployed = Deployed(folded_norms(network, image_size=SIZE), l2_normalise=l2_normalise)
    return check(export(deployed, name=name, image_size=SIZE), plain_runner(network, l2_normalise=l2_normalise),
                 name=name, image_size=SIZE, tolerance=tolerance)


@pytest.mark.parametrize("reference", NETWORKS)
def test_onnx_computes_the_same_for_batches_of_one_and_seven(reference: str) -> None:
    said, handler = [], logging.Handler()
    handler.emit = said.append
    logging.getLogger("torch.onnx").addHandler(handler)
    try:
        assert difference(trained(reference, **NETWORKS[reference]), "onnx") <= 1e-4
    finally:
        logging.getLogger("torch.onnx").removeHandler(handler)
    assert not said  # such as that torchvision is missing


@pytest.mark.parametrize("name", ["torchscript", "exported_program"])
def test_other_formats_compute_the_same(name: str) -> None:
    assert difference(trained("nfs"), name, l2_normalise=True) <= 1e-4


class Mean(nn.Module):
    """An embedding that can be computed by hand."""

    def __init__(self, wrong: float = 0.0) -> None:
        super().__init__()
        self.wrong = wrong

    def forward(self, images: torch.Tensor, modality: torch.Tensor | None = None) -> torch.Tensor:
        return images.mean((2, 3)) + self.wrong


def test_normalisation_is_inside_and_lengths_are_one_where_asked() -> None:
    white = torch.full((1, 3, 4, 2), 255.0)
    expected = torch.tensor([[(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]])
    torch.testing.assert_close(Deployed(Mean())(white), expected)
    torch.testing.assert_close(Deployed(Mean(), l2_normalise=True)(white), expected / expected.norm())


def test_a_difference_is_an_error_that_says_how_large_it_is() -> None:
    content = export(Deployed(Mean(wrong=0.25)), name="torchscript", image_size=SIZE)
    plain = plain_runner(Mean(), l2_normalise=False)
    with pytest.raises(ExportError, match=r"embeddings of 1 images differ from PyTorch's by 0\.25, more than "
                                          r"tolerance=0\.0001\. Nothing was written"):
        check(content, plain, name="torchscript", image_size=SIZE, tolerance=1e-4)
    assert check(content, plain, name="torchscript", image_size=SIZE, tolerance=0.3) == pytest.approx(0.25, abs=1e-5)


def test_a_file_that_does_not_run_is_an_error() -> None:
    with pytest.raises(ExportError, match="does not run on 1 images"):
        check(b"nothing", plain_runner(Mean(), l2_normalise=False), name="torchscript", image_size=SIZE, tolerance=1)


class Undecided(nn.Module):
    """Nothing that a graph can express."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) if images.sum().item() > 0 else images.amax((2, 3))


def test_a_network_that_a_format_cannot_express_is_an_error() -> None:
    with pytest.raises(ExportError, match=r"format=exported_program cannot express this network.* onnx, torchscript"):
        export(Undecided(), name="exported_program", image_size=SIZE)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> bytes:
        raise ModuleNotFoundError("No module named 'onnxscript'", name="onnxscript")

    monkeypatch.setitem(deployment.FORMATS, "onnx", FORMATS["onnx"]._replace(write=write))
    with pytest.raises(ConfigError, match=r"format=onnx needs the package onnxscript.*nas-reid\[export\]"):
        export(Mean(), name="onnx", image_size=SIZE)
