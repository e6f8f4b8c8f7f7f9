"""The weighted-regularised triplet loss."""

import math

import pytest
import torch
from hydra import compose

from nas_reid.errors import ConfigError
from nas_reid.losses.weighted_triplet import FORMS, WeightedTriplet, pairwise_distances, weighted_triplet
from nas_reid.run.composition import composition
from tests.oracles.metric_losses import weighted

POINTS = torch.tensor([[0, 0], [1, 0], [0, 2], [3, 0]], dtype=torch.float64)
PAIRS = torch.tensor([0, 0, 1, 1])


def test_published_values():
    """facts/fastreid.md, 9.9, and facts/crossmodal.md, 6.5: an anchor with positives {0, 1} and negatives {2, 3}.

    FastReID adds 1e-6 to the sums of its softmax, which shows in the sixth digit.
    """
    assert weighted_triplet(POINTS, PAIRS, margin=None, form="agw").item() == pytest.approx(0.885194, abs=5e-7)
    assert weighted_triplet(POINTS, PAIRS, margin=0.3, form="agw").item() == pytest.approx(0.811812, abs=5e-7)
    assert weighted_triplet(POINTS, PAIRS, margin=None).item() == pytest.approx(0.885194, abs=1e-5)
    assert weighted_triplet(POINTS, PAIRS, margin=0.3).item() == pytest.approx(0.811812, abs=1e-5)
    # On a line: the anchor at 0, its positive at 1, negatives at 2 and -3; the other rows get labels of their own.
    line = torch.tensor([[0.], [1], [2], [-3]], dtype=torch.float64)
    anchors = weighted_triplet(line, torch.tensor([0, 0, 1, 2]), margin=None)
    second = math.log1p(math.exp(0.731059 - (1 * math.exp(-1) + 4 * math.exp(-4)) / (math.exp(-1) + math.exp(-4))))
    assert 2 * anchors.item() - second == pytest.approx(0.19461, abs=1e-5)


@pytest.mark.parametrize("margin", [0.3, None])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("form", "added", "spread"), [("softmax", 0.0, 1), ("agw", 1e-6, 1), ("agw", 1e-6, 4)])
def test_it_equals_the_oracle(margin, seed, form, added, spread):
    generator = torch.Generator().manual_seed(seed)
    features = spread * torch.randn(10, 3, generator=generator, dtype=torch.float64) + 100  # far from the origin
    labels = torch.randint(5, (10,), generator=generator)
    expected = weighted(features.tolist(), labels.tolist(), margin, added)
    assert weighted_triplet(features, labels, margin=margin, form=form).item() == pytest.approx(expected, abs=1e-10)


def far_apart() -> tuple[torch.Tensor, torch.Tensor]:
    """8 x 8 features of 2,048 numbers and norm 12: images of a person at distances of 15.3, others at 17."""
    generator = torch.Generator().manual_seed(0)
    people = torch.randn(8, 1, 2048, generator=generator, dtype=torch.float64)
    images = 0.48 * people + torch.randn(8, 8, 2048, generator=generator, dtype=torch.float64)
    return 12 * torch.nn.functional.normalize(images, dim=2).flatten(0, 1), torch.arange(8).repeat_interleave(8)


def test_the_published_code_is_another_function_far_apart():
    features, labels = far_apart()
    for form, added, expected in (("softmax", 0.0, 0.168), ("agw", 1e-6, 3.23)):
        loss = weighted_triplet(features, labels, margin=None, form=form).item()
        assert loss == pytest.approx(weighted(features.tolist(), labels.tolist(), None, added), abs=1e-9)
        assert loss == pytest.approx(expected, rel=0.1)
        nearer = weighted_triplet(features / 2, labels, margin=None, form=form).item()
        assert nearer == pytest.approx(weighted_triplet(features / 2, labels, margin=None).item(), abs=1e-3)


def test_the_experiments_that_quote_the_code_s_numbers_use_it():
    with composition():
        for name in ("agw_regdb", "fastreid_agw_market1501"):  # the first builds on the others of its kind
            config = compose("retrain", [f"experiment={name}", "genotype=nfs/open"])
            assert config.objective.weighted_triplet.form == "agw" and not config.evaluation.flip, name


def test_an_unknown_form_is_refused():
    with pytest.raises(ConfigError, match="form=fast is unknown; known are: softmax, agw"):
        WeightedTriplet(form="fast")


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_a_batch_without_pairs_or_without_strangers_has_no_loss(labels):
    assert math.isnan(weighted_triplet(POINTS, torch.tensor(labels), margin=None))


@pytest.mark.parametrize("margin", [0.3, None])
@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_both_orders_also_where_a_row_does_not_count(margin, form):
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(7, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3])
    assert torch.autograd.gradcheck(lambda x: weighted_triplet(x, labels, margin=margin, form=form), features)
    assert torch.autograd.gradgradcheck(lambda x: weighted_triplet(x, labels, margin=margin, form=form), features)


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
