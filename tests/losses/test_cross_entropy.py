"""Cross-entropy and its label smoothings."""

import pytest
import torch

from nas_reid.losses.cross_entropy import CrossEntropy, cross_entropy
from nas_reid.losses.loss import LossInput
from tests.oracles.losses import smoothed_cross_entropy

LOGITS = torch.tensor([[2, 0, -1, .5], [0, 1, 0, 3]], dtype=torch.float64)


def test_smoothed_cross_entropy_values():
    """facts/torchreid.md, item 6, and facts/fastreid.md, 9.5."""
    assert cross_entropy(LOGITS, torch.tensor([0, 1]), smoothing=0.1).item() == pytest.approx(1.357924, abs=1e-6)
    logits, label = torch.tensor([[2., 1, 0, -1]]), torch.tensor([0])
    assert cross_entropy(logits, label).item() == pytest.approx(0.440190, abs=1e-6)
    assert cross_entropy(logits, label, smoothing=0.1).item() == pytest.approx(0.590190, abs=1e-6)
    assert cross_entropy(logits, label, smoothing=0.1 * 4 / 3).item() == pytest.approx(0.640190, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy_equals_the_oracle(smoothing):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 7, generator=generator, dtype=torch.float64)
    labels = torch.randint(7, (9,), generator=generator)
    expected = smoothed_cross_entropy(logits.tolist(), labels.tolist(), smoothing)
    assert cross_entropy(logits, labels, smoothing=smoothing).item() == pytest.approx(expected, abs=1e-12)


def test_the_other_forms_of_smoothing():
    """facts/fastreid.md, 9.5."""
    logits, label = torch.tensor([[2., 1, 0, -1]], dtype=torch.float64), torch.tensor([0])
    wrong = cross_entropy(logits, label, smoothing=0.1, form="wrong_classes")
    assert wrong.item() == pytest.approx(0.640190, abs=1e-6)
    assert cross_entropy(logits, label, smoothing=0.2, form="adaptive").item() == pytest.approx(0.697755, abs=1e-6)
    both = [cross_entropy(LOGITS, torch.tensor([0, 1]), smoothing=eps, form=form)
            for eps, form in ((0.3, "wrong_classes"), (0.3 * 4 / 3, "all_classes"))]
    assert both[0].item() == pytest.approx(both[1].item(), abs=1e-12)


def test_half_precision_is_computed_in_float32():
    for form in ("all_classes", "wrong_classes"):
        assert cross_entropy(LOGITS.half(), torch.tensor([0, 1]), smoothing=0.1, form=form).dtype == torch.float32


def test_scale_multiplies_the_logits():
    batch = LossInput(LOGITS, LOGITS, torch.tensor([0, 1]))
    assert CrossEntropy(scale=16)(batch) == cross_entropy(16 * LOGITS, batch.labels)
