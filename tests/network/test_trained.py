"""A trained network as a file: what comes back computes the same, and a wrong file is told apart."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from nas_reid.errors import CheckpointError, GenotypeError, NasReidError
from nas_reid.genotype import Genotype
from nas_reid.network.checkpoint import load_checkpoint, save_checkpoint
from nas_reid.network.model import Output, ReIDNetwork
from nas_reid.network.trained import Description, export_safetensors, load_trained
from nas_reid.registry import load_genotype
from tests.cli import trained_checkpoint

HEAD = {"pooling": "average", "embedding": 8, "dropout": 0.1, "neck": True}
IMAGES = torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def make_description(**changes) -> Description:
    fields = {"genotype": load_genotype("auto_reid/retrieval"), "network": {"channels": 4, "layers": [1, 1]},
              "head": HEAD, "num_classes": 5, "image_size": (64, 32)}
    return Description(**{**fields, **changes})


def make_trained(description: Description) -> ReIDNetwork:
    """A network whose weights and running statistics are no longer the initial ones."""
    torch.manual_seed(0)
    network = description.build().train()
    with torch.no_grad():
        network(IMAGES)
        for parameter in network.parameters():
            parameter.add_(0.01)
    return network.eval()


def save_trained(path: Path, network: ReIDNetwork, description: Description) -> Path:
    save_checkpoint(path, {"description": description.to_plain(), "weights": network.state_dict()}, config={})
    return path


def test_description_survives_as_plain_data() -> None:
    description = make_description()
    plain = json.loads(json.dumps(description.to_plain()))
    assert Description.from_plain(plain) == description


def test_build_applies_overrides_and_head() -> None:
    network = make_description().build()
    assert network.trunk.out_channels == make_description(network={"channels": 8, "layers": [1, 1]}
                                                          ).build().trunk.out_channels // 2
    assert network.head.out_features == 8 and network.head.classifier.out_features == 5
    output = network.train()(IMAGES)
    assert isinstance(output, Output) and output.features.shape == (3, 8) and output.logits.shape == (3, 5)


def test_a_checkpoint_gives_the_same_network_back(tmp_path: Path) -> None:
    description = make_description()
    network = make_trained(description)
    path = save_trained(tmp_path / "best.pt", network, description)
    torch.manual_seed(99)  # the file decides, not the generator
    again, found = load_trained(path, device=torch.device("cpu"))
    assert found == description and not again.training
    with torch.no_grad():
        assert torch.equal(again(IMAGES), network(IMAGES))


def test_safetensors_hold_weights_and_what_rebuilds_the_network(tmp_path: Path) -> None:
    description = make_description()
    network = make_trained(description).to(memory_format=torch.channels_last)
    export_safetensors(tmp_path / "model.safetensors", network, description)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        rebuilt = Description.from_plain(json.loads(file.metadata()["nas_reid"]))
    assert rebuilt == description
    again = rebuilt.build().eval()
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(again(IMAGES), network(IMAGES))


def test_the_checkpoint_of_a_search_is_told_apart(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", {"epoch": 3, "bilevel": {}}, config={})
    with pytest.raises(CheckpointError, match=r"last\.pt holds no trained network; expected .* of a retrain run "
                                              r"\(a search leaves a genotype\.json: give it to nas_reid\.retrain\)"):
        load_trained(tmp_path / "last.pt", device=torch.device("cpu"))


def test_a_genotype_is_no_checkpoint(tmp_path: Path) -> None:
    load_genotype("auto_reid/retrieval").save(tmp_path / "genotype.json")
    with pytest.raises(CheckpointError, match=r"genotype\.json is not a checkpoint"):
        load_trained(tmp_path / "genotype.json", device=torch.device("cpu"))


@pytest.mark.parametrize("changes", [{"genotype": load_genotype("auto_reid/baseline")}, {"num_classes": 6},
                                     {"network": {"channels": 5, "layers": [1, 1]}}])
def test_weights_of_another_network_are_refused(tmp_path: Path, changes: dict) -> None:
    path = save_trained(tmp_path / "best.pt", make_trained(make_description()), make_description(**changes))
    with pytest.raises(CheckpointError, match=r"best\.pt: the weights do not fit the genotype"):
        load_trained(path, device=torch.device("cpu"))


def test_a_genotype_of_an_unknown_space_in_a_checkpoint(tmp_path: Path) -> None:
    description = make_description(genotype=Genotype("elsewhere", 1, {}))
    path = save_trained(tmp_path / "best.pt", make_trained(make_description()), description)
    with pytest.raises(GenotypeError, match="'elsewhere', which is not installed"):
        load_trained(path, device=torch.device("cpu"))


@pytest.mark.parametrize(("field", "value", "message"), [
    ("genotype", 3, "genotype=3; expected the JSON of a genotype"),
    ("genotype", "{", "the checkpoint's genotype is not JSON"),
    ("network", [1], r"network=\[1\]; expected arguments of its space by name"),
    ("network", {1: 2}, "network={1: 2}; expected arguments of its space by name"),
    ("network", {"channels": 10**30}, "network.channels=1000.*is illegal"),
    ("network", {"channels": "four"}, "network.channels='four' is illegal"),
    ("head", None, "head=None; expected arguments of a head by name"),
    ("head", {"embeding": 8}, "builds no network: TypeError: .*embeding"),
    ("head", {"embedding": "wide"}, "builds no network: TypeError"),
    ("num_classes", "5", "num_classes=5; expected a number from 1 to 2,147,483,647"),
    ("num_classes", True, "num_classes=True"),
    ("num_classes", 0, "num_classes=0"),
    ("num_classes", 10**30, "num_classes=1000"),
    ("num_classes", 10**12, "num_classes=1000000000000; expected a number"),
    ("num_classes", 10**9, "the weights do not fit the genotype"),
    ("image_size", 32, r"image_size=32; expected \[height, width\] in pixels"),
    ("image_size", [32, 16, 3], r"image_size=\[32, 16, 3\]"),
    ("image_size", [32.5, 16], r"image_size=\[32.5, 16\]"),
    ("image_size", [0, 16], r"image_size=\[0, 16\]"),
    ("identities", 3, "identities=3; expected a digest, or nothing"),
])
def test_a_description_of_the_wrong_kind_is_named(field: str, value: object, message: str, tmp_path: Path) -> None:
    trained_checkpoint.save_trained(tmp_path / "best.pt")
    state = load_checkpoint(tmp_path / "best.pt")
    description = {**state["description"], field: value}
    save_checkpoint(tmp_path / "best.pt", {**state, "description": description}, config={})
    with pytest.raises(NasReidError, match=rf"(?s)best\.pt: .*{message}"):
        load_trained(tmp_path / "best.pt", device=torch.device("cpu"))


@pytest.mark.parametrize(("change", "message"), [
    ({"weights": None}, r"best\.pt describes a network and has no weights for it"),
    ({"weights": {"a": 3}}, "has no weights for it; expected names and tensors under 'weights'"),
    ({"weights": {3: torch.ones(1)}}, "has no weights for it"),
    ({"description": "a network"}, r"best\.pt: the description of a network is a str; expected a mapping"),
])
def test_what_a_checkpoint_lacks_is_named(change: dict, message: str, tmp_path: Path) -> None:
    trained_checkpoint.save_trained(tmp_path / "best.pt")
    save_checkpoint(tmp_path / "best.pt", {**load_checkpoint(tmp_path / "best.pt"), **change}, config={})
    with pytest.raises(CheckpointError, match=message):
        load_trained(tmp_path / "best.pt", device=torch.device("cpu"))
