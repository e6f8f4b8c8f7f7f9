"""Weight files in the layouts of torchvision, IBN-Net, ResNeSt, torchreid and FastReID."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_reid.errors import CheckpointError
from nas_reid.modules.head import build_head
from nas_reid.network.model import ReIDNetwork
from nas_reid.network.weights import Fit, load_weights, read_weights
from nas_reid.registry import load_genotype, space_of
from tests.search_spaces.resnet_networks import TINY

FASTREID_PIXELS = {"pixel_mean": torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1),
                   "pixel_std": torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)}


def network(name: str, identities: int = 5, head: Mapping[str, Any] | None = None, **changes: Any) -> ReIDNetwork:
    genotype = load_genotype(f"resnet/{name}")
    trunk = space_of(genotype, {**TINY, **changes}).network(genotype)
    return ReIDNetwork(trunk, build_head(trunk.out_channels, identities, **(head or {})))


def load(path: Path, name: str, state: Mapping[str, Any], target: ReIDNetwork, **changes: Any) -> Fit:
    torch.save(state, path)
    genotype = load_genotype(f"resnet/{name}")
    space = space_of(genotype, {**TINY, **changes})
    return load_weights(target, read_weights(path, space, genotype, trunk=target.trunk), origin=path.name)


def bare(source: ReIDNetwork) -> dict[str, Tensor]:
    """The trunk alone, as torchvision, IBN-Net and ResNeSt publish it but for the classifier."""
    for norm in (module for module in source.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean.normal_()
    return dict(source.trunk.state_dict())


def assert_same_trunk(first: ReIDNetwork, second: ReIDNetwork) -> None:
    theirs = second.trunk.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in first.trunk.state_dict().items())


@pytest.mark.parametrize("name", ["resnet18", "resnet50_ibn_a", "resnet50_ibn_b", "resnext50", "resnest50",
                                  "se_resnet101_ibn_a"])
def test_a_published_trunk_fits_entirely_and_its_classifier_stays_out(
        name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, target = network(name), network(name)
    state = {**bare(source), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    if name == "resnet18":  # files older than PyTorch 0.4.1 lack the counters
        state = {key: value for key, value in state.items() if "num_batches" not in key}
    with caplog.at_level(logging.INFO, logger="nas_reid.network.weights"):
        fit = load(tmp_path / "theirs.pth", name, state, target)
    assert_same_trunk(source, target)
    assert set(fit.missing) == {"head.classifier.weight", "head.classifier.bias"} and not fit.unexpected
    assert "its classifier is for other identities and stays out" in caplog.text


def test_of_a_trunk_alone_nothing_is_missed_but_what_it_has_too_many_of(
        tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, target = network("resnet18"), network("resnet18")
    state = {f"trunk.{name}": tensor for name, tensor in bare(source).items()}
    before = target.head.state_dict()["classifier.weight"].clone()
    with caplog.at_level(logging.INFO, logger="nas_reid.network.weights"):
        load_weights(target, {**state, "strange": torch.zeros(1)}, origin="trunk.pt")
    assert_same_trunk(source, target)
    assert torch.equal(target.head.state_dict()["classifier.weight"], before)
    assert "a trunk alone, the head starts anew" in caplog.text
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == [
        "trunk.pt: unexpected: strange"]


def test_a_trunk_of_other_widths_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit this trunk: .*other shape: trunk\.bn1\.bias"):
        load(tmp_path / "theirs.pth", "resnet18", bare(network("resnet18")), network("resnet18", stem_channels=4),
             stem_channels=4)
    with pytest.raises(CheckpointError, match=r"missing: trunk\.layer1\.0\.bn1\.IN\.weight.*genotype="):
        load(tmp_path / "theirs.pth", "resnet50_ibn_a", bare(network("resnet50")), network("resnet50_ibn_a"))


def test_torchreids_embedding_and_classifier_find_their_places(tmp_path: Path) -> None:
    head = {"embedding": 8, "embedding_norm_relu": True}
    source, target = network("resnet18", head=head), network("resnet18", head=head)
    state = bare(source)
    for name, tensor in source.head.state_dict().items():
        state[name.replace("embedding.", "fc.")] = tensor
    assert {"fc.0.weight", "fc.1.running_var", "classifier.bias"} <= set(state)
    fit = load(tmp_path / "model.pth.tar-60", "resnet18", {"state_dict": {f"module.{name}": tensor for name, tensor in
                                                                        state.items()}, "epoch": 60}, target)
    assert not fit.problems()
    assert all(torch.equal(tensor, target.state_dict()[name]) for name, tensor in source.state_dict().items())


def fastreid_state(source: ReIDNetwork, version: str) -> dict[str, Tensor]:
    """Entries of a FastReID model: non-local blocks beside the stages, other names in the head."""
    names = {"layer2.non_local.2": "NL_2.0", "layer2.non_local.3": "NL_2.1",
             **{f"layer3.non_local.{3 + index}": f"NL_3.{index}" for index in range(3)}}
    state = dict(FASTREID_PIXELS)
    for name, tensor in bare(source).items():
        prefix = next((ours for ours in names if name.startswith(ours)), None)
        state["backbone." + (names[prefix] + name.removeprefix(prefix) if prefix else name)] = tensor
    neck, classifier = (("heads.bnneck.", "heads.classifier.weight") if version == "0.1" else
                        ("heads.bottleneck.0.", "heads.weight"))
    state |= {neck + name: tensor for name, tensor in source.head.neck.state_dict().items()}
    return {**state, classifier: source.head.classifier.weight.detach()}


@pytest.mark.parametrize("version", ["0.1", "1.3"])
def test_fastreids_checkpoints_of_both_generations_fit(
        version: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    head = {"neck": True}
    source, target = (network("resnet50_ibn_a_nl1", head=head) for _ in range(2))
    nn.init.normal_(source.head.neck.weight)
    state = {"model": fastreid_state(source, version), "iteration": 3}
    with caplog.at_level(logging.INFO):
        fit = load(tmp_path / "market_sbs.pth", "resnet50_ibn_a_nl1", state, target)
    assert not fit.unexpected and set(fit.missing) <= {"head.classifier.bias"}
    assert_same_trunk(source, target)
    assert torch.equal(source.head.neck.weight, target.head.neck.weight)
    assert torch.equal(source.head.classifier.weight, target.head.classifier.weight)
    assert "pixel_mean of the file is ours" in caplog.text and "stem_pool" not in caplog.text


def test_fastreids_reduction_and_learnt_pooling_fit(tmp_path: Path) -> None:
    """Version 1.x with EMBEDDING_DIM and GeneralizedMeanPoolingP: a 1x1 convolution before the neck."""
    head = {"neck": True, "pooling": "gem", "reduction": 8, "reduction_form": "linear", "classifier_bias": False}
    source, target = (network("resnet50", head=head, stem_pool="ceil") for _ in range(2))
    state = {f"backbone.{name}": tensor for name, tensor in bare(source).items()} | FASTREID_PIXELS
    state |= {f"heads.bottleneck.1.{name}": tensor for name, tensor in source.head.neck.state_dict().items()}
    state["heads.bottleneck.0.weight"] = source.head.reduction.weight.detach()[:, :, None, None]
    state["heads.weight"] = source.head.classifier.weight.detach()
    state["heads.pool_layer.p"] = torch.tensor([4.5])
    fit = load(tmp_path / "theirs.pth", "resnet50", {"model": state}, target, stem_pool="ceil")
    assert not fit.problems()
    assert torch.equal(source.head.reduction.weight, target.head.reduction.weight)
    assert target.head.pooling.p.item() == 4.5


def test_what_makes_fastreids_features_differ_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = network("resnet50")
    state = {f"backbone.{name}": tensor for name, tensor in bare(source).items()}
    state |= {**FASTREID_PIXELS, "pixel_std": torch.tensor([1.0, 1.0, 1.0])}
    load(tmp_path / "theirs.pth", "resnet50", {"model": state}, network("resnet50"))
    assert "network.stem_pool=ceil computes what these weights were trained with" in caplog.text
    assert "pixel_std of the file is [0.0039, 0.0039, 0.0039] of 255" in caplog.text


def test_entries_that_nothing_knows_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = {f"backbone.{name}": tensor for name, tensor in bare(network("resnet18")).items()}
    fit = load(tmp_path / "theirs.pth", "resnet18", {"model": {**state, "heads.attention.weight": torch.zeros(2)}},
               network("resnet18"))
    assert fit.unexpected == ("heads.attention.weight",)
    assert "unexpected: heads.attention.weight" in caplog.text


def test_a_trunk_of_ours_fits_whatever_the_last_stride(tmp_path: Path) -> None:
    source, target = network("resnet18", identities=9, last_stride=2), network("resnet18")
    fit = load(tmp_path / "best.pt", "resnet18", {"weights": source.state_dict()}, target)
    assert_same_trunk(source, target)
    assert set(fit.missing) == {"head.classifier.weight", "head.classifier.bias"}
