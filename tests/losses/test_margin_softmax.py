"""Margins on cosines: published values, and gradients that stay finite where angles are awkward."""

import math

import pytest
import torch

from nas_reid.losses.cross_entropy import cross_entropy
from nas_reid.losses.loss import LossInput
from nas_reid.losses.margin_softmax import ArcFace, Circle, CosFace, arcface_logits, circle_logits, cosface_logits

COSINES = torch.tensor([[0.8, 0.2, -0.5]], dtype=torch.float64)
TARGET = torch.tensor([0])


@pytest.mark.parametrize(("logits", "scale", "margin", "expected"), [
    (arcface_logits, 64, 0.35, [34.928607, 12.8, -32]),
    (arcface_logits, 30, 0.5, [12.432322, 6, -15]),
    (cosface_logits, 64, 0.35, [28.8, 12.8, -32]),
    (circle_logits, 64, 0.35, [5.28, -5.28, 0]),
    (circle_logits, 128, 0.25, [2.88, -2.88, 0]),
])
def test_published_logits(logits, scale, margin, expected):
    """facts/fastreid.md, 9.4."""
    assert (scale * logits(COSINES, TARGET, margin=margin))[0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("loss", "expected"), [
    (ArcFace(scale=30, margin=0.5), 0.001607), (Circle(scale=64, margin=0.35), 0.005105),
    # FastReID smooths over the wrong classes
    (Circle(scale=64, margin=0.35, smoothing=0.1, smoothing_form="wrong_classes"), 0.797105),
])
def test_published_losses(loss, expected):
    """facts/fastreid.md, 9.4."""
    assert loss(LossInput(COSINES, COSINES, TARGET)).item() == pytest.approx(expected, abs=1e-6)


def test_past_pi_the_logit_keeps_falling():
    """At cosine -0.99 the angle and 0.5 exceed π; cos(θ + m) alone would be above the plain cosine."""
    cosines = torch.tensor([[-0.99, 0.0]], dtype=torch.float64)
    assert 64 * arcface_logits(cosines, TARGET, margin=0.5)[0, 0].item() == pytest.approx(-78.701617, abs=1e-6)
    line = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None]
    shifted = arcface_logits(line, torch.zeros(2001, dtype=torch.int64), margin=0.5)[:, 0]
    assert (shifted.diff() > 0).all() and (shifted < line[:, 0]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cosine", [1.0, -1.0, 1 + 1e-7, -1 - 1e-7])
def test_arcface_is_finite_at_the_poles_with_gradients_of_both_orders(cosine, dtype):
    cosines = torch.tensor([[cosine, 0.3]], dtype=dtype, requires_grad=True)
    loss = ArcFace()(LossInput(cosines, cosines, TARGET))
    gradient, = torch.autograd.grad(loss, cosines, create_graph=True)
    gradient.square().sum().backward()
    assert loss.isfinite() and gradient.isfinite().all() and cosines.grad.isfinite().all()
    shifted = arcface_logits(cosines, TARGET, margin=0.5)[0, 0].item()
    assert shifted == pytest.approx(math.cos(0.5) if cosine > 0 else -1 - 0.5 * math.sin(0.5), abs=1e-6)


@pytest.mark.parametrize("loss", [ArcFace(scale=8), CosFace(scale=8)])
def test_gradients(loss):
    generator = torch.Generator().manual_seed(0)
    cosines = (torch.rand(3, 3, generator=generator, dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    labels = torch.randint(3, (3,), generator=generator)
    assert torch.autograd.gradcheck(lambda x: loss(LossInput(x, x, labels)), cosines)
    assert torch.autograd.gradgradcheck(lambda x: loss(LossInput(x, x, labels)), cosines)


def test_the_pace_of_circle_is_no_part_of_the_gradient():
    cosines = COSINES.clone().requires_grad_()
    circle_logits(cosines, TARGET, margin=0.35).sum().backward()
    assert cosines.grad[0].tolist() == pytest.approx([0.55, 0.55, 0.0])


def test_without_a_margin_all_are_the_plain_softmax():
    generator = torch.Generator().manual_seed(1)
    cosines = torch.rand(6, 5, generator=generator, dtype=torch.float64) * 2 - 1
    labels = torch.randint(5, (6,), generator=generator)
    expected = cross_entropy(16 * cosines, labels)
    for loss in (ArcFace(margin=0, scale=16), CosFace(margin=0, scale=16)):
        assert loss(LossInput(cosines, cosines, labels)).item() == pytest.approx(expected.item(), abs=1e-12)


def test_half_precision_is_computed_in_float32():
    assert Circle()(LossInput(COSINES, COSINES.half(), TARGET)).dtype == torch.float32
