"""The weighted-regularised triplet loss."""

import math

import pytest
import torch

from nas_reid.losses.weighted_triplet import pairwise_distances, weighted_triplet
from tests.oracles.metric_losses import weighted

POINTS = torch.tensor([[0, 0], [1, 0], [0, 2], [3, 0]], dtype=torch.float64)
PAIRS = torch.tensor([0, 0, 1, 1])


def test_published_values():
    """facts/fastreid.md, 9.9, and facts/crossmodal.md, 6.5: an anchor with positives {0, 1} and negatives {2, 3}.

    FastReID adds 1e-6 to the sums of its softmax, which shows in the sixth digit.
    """
    assert weighted_triplet(POINTS, PAIRS, margin=None).item() == pytest.approx(0.885194, abs=1e-5)
    assert weighted_triplet(POINTS, PAIRS, margin=0.3).item() == pytest.approx(0.811812, abs=1e-5)
    # On a line: the anchor at 0, its positive at 1, negatives at 2 and -3; the other rows get labels of their own.
    line = torch.tensor([[0.], [1], [2], [-3]], dtype=torch.float64)
    anchors = weighted_triplet(line, torch.tensor([0, 0, 1, 2]), margin=None)
    second = math.log1p(math.exp(0.731059 - (1 * math.exp(-1) + 4 * math.exp(-4)) / (math.exp(-1) + math.exp(-4))))
    assert 2 * anchors.item() - second == pytest.approx(0.19461, abs=1e-5)


@pytest.mark.parametrize("margin", [0.3, None])
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_oracle(margin, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(10, 3, generator=generator, dtype=torch.float64) + 100  # far from the origin
    labels = torch.randint(5, (10,), generator=generator)
    expected = weighted(features.tolist(), labels.tolist(), margin)
    assert weighted_triplet(features, labels, margin=margin).item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_batch_without_pairs_or_without_strangers_has_no_loss(labels):
    assert math.isnan(weighted_triplet(POINTS, torch.tensor(labels), margin=None))


@pytest.mark.parametrize("margin", [0.3, None])
def test_gradients_of_both_orders_also_where_a_row_does_not_count(margin):
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(7, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3])
    assert torch.autograd.gradcheck(lambda x: weighted_triplet(x, labels, margin=margin), features)
    assert torch.autograd.gradgradcheck(lambda x: weighted_triplet(x, labels, margin=margin), features)


def test_collapsed_features_have_finite_gradients_of_both_orders():
    features = torch.ones(4, 3, requires_grad=True)
    loss = weighted_triplet(features, PAIRS, margin=None)
    gradient, = torch.autograd.grad(loss, features, create_graph=True)
    gradient.square().sum().backward()
    assert loss.item() == pytest.approx(math.log(2)) and torch.equal(gradient, torch.zeros(4, 3))
    assert features.grad.isfinite().all()


def test_distances_stay_exact_far_from_the_origin():
    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    exact = torch.cdist(x.double(), x.double())
    assert torch.allclose(pairwise_distances(x + 1000).double(), exact, atol=2e-3)
    assert torch.equal(pairwise_distances(x).diagonal(), torch.zeros(6))
