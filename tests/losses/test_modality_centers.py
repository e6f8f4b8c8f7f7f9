"""Losses between the centres of two modalities."""

import math

import pytest
import torch

from nas_reid.losses.modality_centers import cross_modality_contrast, hetero_center
from tests.oracles.metric_losses import centers_of, contrast


def draw(seed: int, *, width: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(16, width, generator=generator, dtype=torch.float64),
            torch.randint(6, (16,), generator=generator), torch.randint(2, (16,), generator=generator))


@pytest.mark.parametrize("seed", range(4))
def test_contrast_equals_the_oracle_also_where_identities_lack_a_modality(seed):
    features, labels, modalities = draw(seed)
    expected = contrast(features.tolist(), labels.tolist(), modalities.tolist(), 0.1)
    value = cross_modality_contrast(features, labels, modalities, temperature=0.1)
    assert value.item() == pytest.approx(expected, abs=1e-10)


def test_hetero_center_equals_the_oracle():
    features, labels, modalities = draw(0)
    centers = centers_of(features.tolist(), labels.tolist(), modalities.tolist(), unit=False).values()
    expected = sum(math.dist(*both) ** 2 for both in centers) / len(centers)
    assert hetero_center(features, labels, modalities).item() == pytest.approx(expected, abs=1e-10)


def test_by_hand():
    """Two identities, orthogonal, the same in both modalities: log(1 + exp(-1/T)) each, and no distance."""
    features = torch.tensor([[2., 0], [3, 0], [0, 1], [0, 5]], dtype=torch.float64)
    labels, modalities = torch.tensor([7, 7, 4, 4]), torch.tensor([0, 1, 1, 0])
    value = cross_modality_contrast(features, labels, modalities, temperature=0.5)
    assert value.item() == pytest.approx(math.log1p(math.exp(-2)), abs=1e-12)
    assert hetero_center(features, labels, modalities).item() == pytest.approx((1 + 16) / 2)


def test_random_features_at_a_high_temperature_give_log_p():
    """facts/crossmodal.md, 6.9: within 2 %."""
    features = torch.randn(64, 2048, generator=torch.Generator().manual_seed(0))
    labels, modalities = torch.arange(8).repeat_interleave(8), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]).repeat(8)
    value = cross_modality_contrast(features, labels, modalities, temperature=10.0)
    assert value.item() == pytest.approx(math.log(8), rel=0.02)


@pytest.mark.parametrize("loss", [lambda *batch: cross_modality_contrast(*batch, temperature=0.1), hetero_center])
def test_order_and_the_names_of_the_modalities_do_not_matter(loss):
    features, labels, modalities = draw(1)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(5))
    expected = loss(features, labels, modalities).item()
    assert loss(features[order], labels[order], modalities[order]).item() == pytest.approx(expected, abs=1e-12)
    assert loss(features, labels, 1 - modalities).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("loss", [lambda *batch: cross_modality_contrast(*batch, temperature=0.5), hetero_center])
def test_gradients_of_both_orders(loss):
    features, labels, modalities = draw(2)
    features.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, labels, modalities), features)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, labels, modalities), features)


def test_a_batch_of_one_modality_has_no_loss():
    features, labels, modalities = draw(0)
    assert math.isnan(cross_modality_contrast(features, labels, torch.zeros_like(modalities), temperature=0.1))
    assert math.isnan(hetero_center(features, labels, torch.ones_like(modalities)))
