from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nas_reid.errors import DataError
from nas_reid.evaluation.features import extract


class FirstColumns(nn.Module):
    """Embeds an image by its mean left column per channel, plus its modality."""

    def __init__(self) -> None:
        super().__init__()
        self.live, self.frozen = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
        self.frozen.eval()

    def forward(self, images, modality=None):
        if self.training:
            raise RuntimeError("called in training mode")
        return images[..., 0].mean(dim=2) + modality[:, None]


def batches():
    images = torch.arange(5 * 3 * 2 * 4, dtype=torch.float32).view(5, 3, 2, 4)
    modalities = torch.tensor([0, 1, 0, 1, 0])
    return images, modalities, [SimpleNamespace(images=images[i:i + 2], modalities=modalities[i:i + 2])
                                for i in (0, 2, 4)]


def test_keeps_the_order_and_passes_the_modality():
    images, modalities, parts = batches()
    features = extract(FirstColumns(), parts, flip=False, device="cpu")
    assert features.dtype == torch.float32
    assert torch.equal(features, images[..., 0].mean(dim=2) + modalities[:, None])


def test_flip_takes_the_mean_of_both_views():
    images, modalities, parts = batches()
    features = extract(FirstColumns(), parts, flip=True, device="cpu")
    assert torch.equal(features, (images[..., 0] + images[..., -1]).mean(dim=2) / 2 + modalities[:, None])


def test_training_flags_come_back_even_after_an_error():
    network = FirstColumns()
    extract(network, batches()[2], flip=False, device="cpu")
    assert network.training and network.live.training and not network.frozen.training
    with pytest.raises(AttributeError):
        extract(network, [SimpleNamespace()], flip=False, device="cpu")
    assert network.training and network.live.training and not network.frozen.training


def test_result_is_an_ordinary_tensor():
    features = extract(FirstColumns(), batches()[2][:1], flip=False, device="cpu")
    assert not features.is_inference() and not features.requires_grad


def test_no_images_is_an_error():
    with pytest.raises(DataError, match="query or gallery list is empty"):
        extract(FirstColumns(), [], flip=False, device="cpu")
