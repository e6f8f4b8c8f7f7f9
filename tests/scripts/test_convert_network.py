"""Files of other projects that become checkpoints of ours by naming their network."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from nas_reid.modules.head import build_head
from nas_reid.network.model import ReIDNetwork
from nas_reid.network.trained import load_trained
from nas_reid.registry import load_genotype, space_of

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "convert_weights.py"
SMALL = ("channels=16", "stem_channels=8", "stem_pool=ceil")
NETWORK = {"channels": 16, "stem_channels": 8, "stem_pool": "ceil"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("convert_weights", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def source(pooling: str) -> ReIDNetwork:
    genotype = load_genotype("resnet/resnet18_ibn_a")
    trunk = space_of(genotype, NETWORK).network(genotype)
    network = ReIDNetwork(trunk, build_head(trunk.out_channels, 7, neck=True, pooling=pooling, classifier_bias=False))
    torch.nn.init.normal_(network.head.neck.weight)
    return network.eval()


@pytest.mark.parametrize("pooling", ["gem", "max"])
def test_a_fastreid_checkpoint_is_evaluated_as_it_was_trained(
        pooling: str, script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    network = source(pooling)
    names = {"trunk.": "backbone.", "head.neck.": "heads.bottleneck.0.", "head.classifier.weight": "heads.weight",
             "head.pooling.": "heads.pool_layer."}
    state = {next(theirs + name.removeprefix(ours) for ours, theirs in names.items() if name.startswith(ours)): tensor
             for name, tensor in network.state_dict().items()}
    torch.save({"model": state, "iteration": 3}, tmp_path / "theirs.pth")
    options = ["--genotype", "resnet/resnet18_ibn_a", "--network", *SMALL, "--image-size", "64", "32"]
    options += ["--pooling", pooling] if pooling == "max" else []  # learnt pooling is seen in the file
    assert script.main(["import", str(tmp_path / "theirs.pth"), str(tmp_path / "ours.pt"), *options]) == 0
    assert f"resnet/resnet18_ibn_a, pooling {pooling}, neck True, classifier_bias False" in capsys.readouterr().out
    loaded, description = load_trained(tmp_path / "ours.pt", device=torch.device("cpu"))
    assert description.num_classes == 7 and description.image_size == (64, 32)
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(loaded(images), network(images))


def test_a_file_of_another_network_leaves_nothing(script: ModuleType, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture) -> None:
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "theirs.pth")
    arguments = ["import", str(tmp_path / "theirs.pth"), str(tmp_path / "ours.pt"), "--genotype"]
    assert script.main([*arguments, "resnet/resnet18", "--network", *SMALL]) == 2
    assert "does not fit this trunk" in capsys.readouterr().err
    assert script.main([*arguments, "resnet/resnet19"]) == 2
    assert "resnet/resnet18" in capsys.readouterr().err and not (tmp_path / "ours.pt").exists()
