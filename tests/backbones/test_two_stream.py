"""Two-stream networks and the batch norms of each modality: images in any order, and only what is used."""

import pytest
import torch
from torch import nn

from nas_reid.backbones.modality import SplitNorm, group
from nas_reid.backbones.two_stream import TwoStreamResNet, block_channels, map_sizes
from nas_reid.errors import ConfigError, DataError
from nas_reid.network.complexity import count_parameters

MODALITY = torch.tensor([1, 0, 0, 1, 1, 0])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def images(batch: int = 6, size: tuple[int, int] = (32, 16)) -> torch.Tensor:
    return torch.randn(batch, 3, *size)


def test_grouping_puts_visible_images_first_and_back() -> None:
    x = torch.arange(6.0).view(6, 1, 1, 1)
    grouped, samples, place = group(x, MODALITY)
    assert grouped.flatten().tolist() == [1, 2, 5, 0, 3, 4] and samples.counts == (3, 3)
    assert torch.equal(grouped[place], x)
    assert [(name, rows.flatten().tolist()) for name, rows, _ in samples.parts(grouped)] == [
        ("visible", [1, 2, 5]), ("infrared", [0, 3, 4])]
    table = torch.tensor([[10.0], [20.0]])
    assert samples.rows(table).flatten().tolist() == [10, 10, 10, 20, 20, 20]


@pytest.mark.parametrize(("modality", "counts"), [(None, (2, 0)), (torch.zeros(2).long(), (2, 0)),
                                                  (torch.ones(2).long(), (0, 2))])
def test_a_single_modality_is_left_in_place(modality, counts) -> None:
    x = images(2)
    grouped, samples, place = group(x, modality)
    assert grouped is x and place is None and samples.counts == counts
    assert [len(rows) for _, rows, _ in samples.parts(x)] == [2]


def test_nothing_is_counted_on_the_meta_device() -> None:
    with torch.device("meta"):
        network = TwoStreamResNet(18, 1 / 16)
        assert network(images(), torch.empty(6, dtype=torch.int64)).shape == (6, 32, 2, 1)


def test_channels_last_stays() -> None:
    grouped, *_ = group(images().contiguous(memory_format=torch.channels_last), MODALITY)
    assert grouped.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("modality", "message"), [
    (torch.tensor([0, 2, -1, 1, 0, 0]), "2 of 6 images have a modality other than 0"),
    (torch.tensor([0, 1]), r"6 images and modalities of shape \[2\]; expected one each")])
def test_modalities_that_make_no_sense(modality, message) -> None:
    with pytest.raises(DataError, match=message):
        group(images(), modality)


def test_split_norms_are_two_batch_norms() -> None:
    norm, x = SplitNorm(3), images()
    grouped, samples, place = group(x, MODALITY)
    out = norm(grouped, samples)[place]
    for value, own in ((0, norm.visible), (1, norm.infrared)):
        part = x[value == MODALITY]
        expected = (part - part.mean((0, 2, 3), keepdim=True)) / (part.var((0, 2, 3), unbiased=False, keepdim=True)
                                                                  + own.eps).sqrt()
        assert (out[value == MODALITY] - expected).abs().max() < 1e-5
        torch.testing.assert_close(own.running_mean, 0.1 * part.mean((0, 2, 3)))


@pytest.mark.parametrize("specific", range(5))
def test_images_may_come_in_any_order(specific: int) -> None:
    network, x = TwoStreamResNet(18, 1 / 16, specific=specific), images()
    network(x, MODALITY)  # statistics
    network.eval()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert (network(x[order], MODALITY[order]) - network(x, MODALITY)[order]).abs().max() < 1e-5
    alone = torch.cat([network(image[None], kind[None]) for image, kind in zip(x, MODALITY, strict=True)])
    assert (alone - network(x, MODALITY)).abs().max() < 1e-5
    other = (network(x, 1 - MODALITY) - network(x, MODALITY)).abs().max()
    assert (other > 1e-3) == (specific > 0)


def test_the_order_changes_no_gradient() -> None:
    network, x = TwoStreamResNet(18, 1 / 16).double(), images().double()
    probe, order = torch.randn(6, 32, 2, 1).double(), torch.tensor([3, 1, 5, 0, 2, 4])
    gradients = []
    for rows in (torch.arange(6), order):
        network.zero_grad()
        (network(x[rows], MODALITY[rows]) * probe[rows]).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize(("depth", "trunk"), [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032)])
def test_counts_of_torchvision_and_9536_for_each_further_stem(depth: int, trunk: int) -> None:
    with torch.device("meta"):
        assert count_parameters(TwoStreamResNet(depth, 1.0, specific=0)) == trunk
        assert count_parameters(TwoStreamResNet(depth, 1.0)) == trunk + 9_536


def test_parts_that_are_specific_are_not_there_twice() -> None:
    with torch.device("meta"):
        network = TwoStreamResNet(18, 1 / 16, specific=3)
    names = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert names == {"visible", "infrared", "layer3", "layer4"}
    assert {name for name, _ in network.visible.named_children()} == {"conv1", "bn1", "maxpool", "layer1", "layer2"}


def test_sizes_of_maps_and_blocks() -> None:
    assert map_sizes([288, 144], 1) == {"layer1": (72, 36), "layer2": (36, 18), "layer3": (18, 9), "layer4": (18, 9)}
    network = TwoStreamResNet(18, 1 / 16, last_stride=2)
    for size in ((64, 32), (50, 31)):
        assert network(images(2, size)).shape[2:] == map_sizes(size, 2)["layer4"]
    assert list(block_channels(50, 0.5).items())[2:4] == [("layer1.2", 128), ("layer2.0", 256)]


def test_images_that_are_too_small() -> None:
    with pytest.raises(ConfigError, match=r"images of \(16, 16\) pixels are too small"):
        TwoStreamResNet(18, 1 / 16)(images(2, (16, 16)))


def test_initial_values_are_torchvisions() -> None:
    network = TwoStreamResNet(18, 0.5)
    weight = network.layer3.get_submodule("0").conv2.weight
    assert weight.std().item() == pytest.approx((2 / (weight.shape[0] * 9)) ** 0.5, rel=0.05)
    assert all((m.weight == 1).all() for m in network.modules() if isinstance(m, nn.BatchNorm2d))
