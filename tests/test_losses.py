import math

import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.losses import RetrievalObjective, cross_entropy, triplet_batch_hard
from nas_reid.model import Output
from tests.oracles.losses import batch_hard, smoothed_cross_entropy

LOGITS = torch.tensor([[2, 0, -1, .5], [0, 1, 0, 3]], dtype=torch.float64)
POINTS = torch.tensor([[0, 0], [1, 0], [0, 2], [3, 0]], dtype=torch.float64)
PAIRS = torch.tensor([0, 0, 1, 1])


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


def test_triplet_values():
    """facts/torchreid.md, item 6, and facts/fastreid.md, 9.9."""
    assert triplet_batch_hard(POINTS, PAIRS, margin=0.3).item() == pytest.approx(0.952776, abs=1e-6)
    assert triplet_batch_hard(POINTS, PAIRS, margin=None).item() == pytest.approx(1.050892, abs=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0, None])
@pytest.mark.parametrize("seed", range(5))
def test_triplet_equals_the_oracle(margin, seed):
    """Random labels, so that some rows have no positive."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(10, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(5, (10,), generator=generator)
    expected = batch_hard(features.tolist(), labels.tolist(), margin)
    assert triplet_batch_hard(features, labels, margin=margin).item() == pytest.approx(expected, abs=1e-12)


def test_a_lone_row_is_left_out_of_the_mean():
    features = torch.cat([POINTS, torch.tensor([[50., 50]], dtype=torch.float64)])
    labels = torch.cat([PAIRS, torch.tensor([2])])
    assert triplet_batch_hard(features, labels, margin=0.3).item() == pytest.approx(0.952776, abs=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_batch_without_triplets_has_no_loss(labels):
    assert math.isnan(triplet_batch_hard(POINTS, torch.tensor(labels), margin=0.3))


@pytest.mark.parametrize("margin", [0.3, None])
def test_gradients(margin):
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(8, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(8) // 2

    def loss(x):
        return triplet_batch_hard(x, labels, margin=margin)

    assert torch.autograd.gradcheck(loss, features)
    assert torch.autograd.gradgradcheck(loss, features)


@pytest.mark.parametrize("margin", [0.3, None])
def test_collapsed_features_have_finite_gradients_of_both_orders(margin):
    features = torch.ones(4, 3, requires_grad=True)
    loss = triplet_batch_hard(features, PAIRS, margin=margin)
    assert loss.item() == pytest.approx(0.3 if margin else math.log(2))
    gradient, = torch.autograd.grad(loss, features, create_graph=True)
    gradient.square().sum().backward()
    assert torch.equal(gradient, torch.zeros(4, 3))
    assert torch.isfinite(features.grad).all()


def test_half_precision_is_computed_in_float32():
    features = (POINTS * 100).bfloat16()
    assert triplet_batch_hard(features, PAIRS, margin=0.3).dtype == torch.float32
    assert cross_entropy(LOGITS.half(), torch.tensor([0, 1])).dtype == torch.float32


def test_objective_mixes_as_equation_5():
    labels = torch.tensor([0, 0, 1, 1])
    output = Output(POINTS, torch.cat([LOGITS, LOGITS]))
    loss, parts = RetrievalObjective(identity_weight=0.25, margin=0.3, smoothing=0.1)(output, labels)
    identity = cross_entropy(output.logits, labels, smoothing=0.1)
    triplet = triplet_batch_hard(POINTS, labels, margin=0.3)
    assert loss.item() == pytest.approx(0.25 * identity.item() + 0.75 * triplet.item(), abs=1e-14)
    assert parts == {"cross_entropy": identity, "triplet": triplet}
    assert not any(part.requires_grad for part in parts.values())


def test_objective_does_not_compute_an_unused_term():
    """The unused input is absent: touching it would fail."""
    loss, parts = RetrievalObjective(identity_weight=1.0, margin=0.3)(Output(None, LOGITS), torch.tensor([0, 1]))
    assert list(parts) == ["cross_entropy"] and loss == parts["cross_entropy"]
    loss, parts = RetrievalObjective(identity_weight=0.0, margin=0.3)(Output(POINTS, None), PAIRS)
    assert list(parts) == ["triplet"] and loss == parts["triplet"]


@pytest.mark.parametrize(("values", "message"), [
    ({"identity_weight": 1.5, "margin": 0.3}, r"identity_weight=1.5 must lie in \[0, 1\]"),
    ({"identity_weight": float("nan"), "margin": 0.3}, "identity_weight=nan"),
    ({"identity_weight": 0.5, "margin": -1.0}, "margin=-1.0 must be finite and >= 0"),
    ({"identity_weight": 0.5, "margin": None, "smoothing": 1.0}, r"smoothing=1.0 must lie in \[0, 1\)"),
])
def test_objective_refuses_illegal_values(values, message):
    with pytest.raises(ConfigError, match=message):
        RetrievalObjective(**values)
