"""Counts, names and shapes against published numbers; forwards against plain compositions."""

import math
import re
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_reid.backbones.blocks import BlockSettings
from nas_reid.backbones.norms import SiteNorm, batch_norm
from nas_reid.backbones.resnet import ResNet, initialise
from nas_reid.backbones.stages import StagePlan, Stem, build_stages
from nas_reid.errors import ConfigError
from nas_reid.network.complexity import count_parameters
from tests.backbones.networks import ibn, on_meta, resnest, resnet

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def torchvision_names(lengths: tuple[int, ...], convolutions: int, *, shortcut_in_layer1: bool) -> set[str]:
    """The entries of torchvision's file without ``fc``, from its naming rule."""
    names = {"conv1.weight", *(f"bn1.{entry}" for entry in NORM)}
    for stage, length in enumerate(lengths, 1):
        for block in range(length):
            site = f"layer{stage}.{block}"
            for index in range(1, convolutions + 1):
                names |= {f"{site}.conv{index}.weight", *(f"{site}.bn{index}.{entry}" for entry in NORM)}
            if block == 0 and (stage > 1 or shortcut_in_layer1):
                names |= {f"{site}.downsample.0.weight", *(f"{site}.downsample.1.{entry}" for entry in NORM)}
    return names


@pytest.mark.parametrize(("trunk", "parameters"), [
    (on_meta(18), 11_176_512), (on_meta(34), 21_284_672), (on_meta(50), 23_508_032), (on_meta(101), 42_500_160),
    (on_meta(50, blocks={"groups": 32, "group_width": 4}), 22_979_904),
    (on_meta(101, blocks={"groups": 32, "group_width": 8}), 86_742_336),
    (resnest(50), 25_434_240),
    (ibn(50, "a", non_local=(0, 2, 3, 0), non_local_inner=1), 23_536_719),
    (ibn(50, "a"), 23_508_032), (ibn(50, "b"), 23_508_032 + 2 * (256 + 512))])
def test_trunks_have_the_published_numbers_of_parameters(trunk: ResNet, parameters: int) -> None:
    assert count_parameters(trunk) == parameters


@pytest.mark.parametrize(("depth", "lengths", "convolutions", "entries"), [
    (18, (2, 2, 2, 2), 2, 120), (34, (3, 4, 6, 3), 2, 216), (50, (3, 4, 6, 3), 3, 318), (101, (3, 4, 23, 3), 3, 624)])
def test_entries_have_torchvisions_names(depth: int, lengths: tuple, convolutions: int, entries: int) -> None:
    names = set(on_meta(depth).state_dict())
    assert names == torchvision_names(lengths, convolutions, shortcut_in_layer1=depth >= 50)
    assert len(names) == entries
    if depth == 50:
        assert set(on_meta(50, blocks={"groups": 32, "group_width": 4}).state_dict()) == names


def test_ibn_a_replaces_the_first_norm_of_the_blocks_of_three_stages() -> None:
    state = ibn(50, "a").state_dict()
    instance = {name.removesuffix(".weight") for name in state if name.endswith(".IN.weight")}
    assert instance == {f"layer{stage}.{block}.bn1.IN" for stage, length in ((1, 3), (2, 4), (3, 6))
                        for block in range(length)} and len(instance) == 13
    assert state["layer3.5.bn1.IN.bias"].shape == (128,) == state["layer3.5.bn1.BN.running_var"].shape
    assert "layer3.5.bn1.IN.running_mean" not in state and "layer4.0.bn1.weight" in state


def test_ibn_b_ends_two_stages_with_an_instance_norm() -> None:
    state = ibn(50, "b").state_dict()
    assert {name for name in state if ".IN." in name} == {
        f"layer{block}.IN.{entry}" for block in ("1.2", "2.3") for entry in ("weight", "bias")}
    assert "bn1.weight" in state and "bn1.running_mean" not in state


def test_resnest_has_the_names_of_its_release() -> None:
    state = resnest(50).state_dict()
    assert len(state) == 474
    assert [name for name in state if name.startswith("conv1.") and name.endswith(".weight")] == [
        f"conv1.{index}.weight" for index in (0, 1, 3, 4, 6)]
    second = {name.split(".")[3] for name in state if name.startswith("layer2.0.conv2.")}
    assert second == {"conv", "bn0", "fc1", "bn1", "fc2"}
    assert {name.split(".")[3] for name in state if name.startswith("layer1.0.downsample.")} == {"1", "2"}
    assert not any(re.search(r"\d\.bn2\.", name) for name in state)
    assert resnest(101).bn1.weight.shape == (128,)


def test_every_norm_is_a_named_site_in_the_order_of_construction() -> None:
    sites: dict[str, int] = {}

    def record(site: str, channels: int) -> nn.Module:
        sites[site] = channels
        return batch_norm(site, channels)

    trunk = on_meta(50, norm=record)
    assert len(sites) == 53
    assert list(sites)[:6] == ["bn1", "layer1.0.downsample.1", "layer1.0.bn1", "layer1.0.bn2", "layer1.0.bn3",
                               "layer1.1.bn1"]
    assert all(trunk.get_submodule(site).num_features == channels for site, channels in sites.items())


class PerModality(SiteNorm):
    """One batch norm per modality."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """``context`` is the modality of each image."""
        return torch.where(context[:, None, None, None] == 0, self.norms[0](x), self.norms[1](x))


@pytest.mark.parametrize("radix", [0, 2])
def test_norms_of_a_site_receive_the_context(radix: int) -> None:
    deep = {"deep_stem": radix > 0}
    trunk = resnet(50, norm=lambda site, channels: PerModality(channels), planes=8, stem={"channels": 8, **deep},
                   blocks={"radix": radix, "average_shortcut": radix > 0}).eval()
    plain = resnet(50, planes=8, stem={"channels": 8, **deep},
                   blocks={"radix": radix, "average_shortcut": radix > 0}).eval()
    for module in trunk.modules():
        if isinstance(module, PerModality):
            nn.init.constant_(module.norms[1].bias, 0.5)
    images = torch.randn(2, 3, 64, 32)
    theirs = {re.sub(r"\.norms\.0\.", ".", name): tensor for name, tensor in trunk.state_dict().items()
              if ".norms.1." not in name}
    plain.load_state_dict(theirs)
    with torch.no_grad():
        first, second = (trunk(images, context=torch.tensor([0, modality])) for modality in (0, 1))
        assert torch.equal(first, plain(images))
    assert torch.equal(first[0], second[0]) and not torch.allclose(first[1], second[1])


def test_stems_and_stages_are_usable_one_by_one() -> None:
    """Two stems into one set of stages, as two-stream networks have them."""
    trunk = resnet(18, planes=8).eval()
    stems = [Stem(8, norm=batch_norm, prefix=f"{name}.") for name in ("visible", "infrared")]
    stems[1].load_state_dict({name: trunk.state_dict()[name] for name in stems[1].state_dict()})
    stages = build_stages(8, StagePlan(block="basic", lengths=(2, 2, 2, 2), planes=8), BlockSettings(norm=batch_norm))
    for name, stage in stages.items():
        stage.load_state_dict(trunk.get_submodule(name).state_dict())
        stage.eval()
    x = images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        for module in (stems[1].eval(), *stages.values()):
            x = module(x)
        assert torch.equal(x, trunk(images))


@pytest.mark.parametrize(("size", "shape"), [((256, 128), (2048, 16, 8)), ((384, 128), (2048, 24, 8))])
def test_the_last_stride_decides_the_size_of_the_map(size: tuple[int, int], shape: tuple[int, int, int]) -> None:
    images = torch.empty(2, 3, *size, device="meta")
    assert on_meta(50, last_stride=1)(images).shape[1:] == shape
    halved = (shape[0], shape[1] // 2, shape[2] // 2)
    assert on_meta(50)(images).shape[1:] == halved
    assert resnest(50, last_stride=1, dilate_last=True)(images).shape[1:] == shape
    assert on_meta(50).out_channels == 2048


def test_resnests_last_stage_dilates_when_it_does_not_stride() -> None:
    def dilations(trunk: ResNet) -> list[int]:
        return [trunk.get_submodule(f"layer4.{index}").conv2.conv.dilation[0] for index in range(3)]

    assert dilations(resnest(50, last_stride=1, dilate_last=True)) == [1, 2, 2]
    assert dilations(resnest(50, dilate_last=True)) == dilations(resnest(50)) == [1, 1, 1]
    assert on_meta(50, last_stride=1).layer4.get_submodule("1").conv2.dilation == (1, 1)


def test_the_two_stem_pools_see_windows_one_pixel_apart() -> None:
    """The first row on a ramp, as measured on FastReID and on torchvision."""
    ramp = torch.arange(64.0).reshape(1, 1, 8, 8)
    rows = {name: Stem(2, norm=batch_norm, pool=name).maxpool(ramp)[0, 0, 0].tolist() for name in ("ceil", "padded")}
    assert rows == {"ceil": [18, 20, 22, 23], "padded": [9, 11, 13, 15]}


def reference_resnet18(state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """ResNet-18 in evaluation mode, written with functions alone."""
    def norm(x: Tensor, site: str) -> Tensor:
        return functional.batch_norm(x, *(state[f"{site}.{entry}"] for entry in
                                          ("running_mean", "running_var", "weight", "bias")))

    def conv(x: Tensor, site: str, stride: int, padding: int) -> Tensor:
        return functional.conv2d(x, state[f"{site}.weight"], stride=stride, padding=padding)

    x = functional.max_pool2d(norm(conv(x, "conv1", 2, 3), "bn1").relu(), 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            site, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = norm(conv(x, f"{site}.conv1", stride, 1), f"{site}.bn1").relu()
            y = norm(conv(y, f"{site}.conv2", 1, 1), f"{site}.bn2")
            if f"{site}.downsample.0.weight" in state:
                x = norm(conv(x, f"{site}.downsample.0", stride, 0), f"{site}.downsample.1")
            x = (x + y).relu()
    return x


def randomise(network: nn.Module) -> None:
    """Norms that do something: scales, shifts and statistics away from their initial values."""
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1 and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if "mean" not in name and "bias" not in name else tensor.normal_(std=0.2)


def test_resnet18_computes_its_definition() -> None:
    trunk = resnet(18, planes=8).double().eval()
    initialise(trunk)
    randomise(trunk)
    images = torch.randn(2, 3, 70, 34, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), reference_resnet18(trunk.state_dict(), images), rtol=1e-10, atol=0)


def test_initial_convolutions_have_torchvisions_deviation() -> None:
    torch.manual_seed(0)
    trunk = resnet(50, planes=16, blocks={"groups": 8, "group_width": 16})
    initialise(trunk)
    weight = trunk.layer3.get_submodule("0").conv2.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * len(weight))), rel=0.03)


def test_images_without_two_pixels_left_are_refused() -> None:
    trunk = on_meta(18)
    assert trunk(torch.empty(2, 3, 32, 16, device="meta")).shape == (2, 512, 1, 1)
    with pytest.raises(ConfigError, match=r"\(16, 16\) pixels are too small.*\[32,16\]"):
        trunk(torch.empty(2, 3, 16, 16, device="meta"))
