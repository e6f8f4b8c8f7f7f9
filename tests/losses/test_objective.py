"""The weighted sum of losses: what is computed, what is refused, and what is left alone."""

import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.losses.cross_entropy import cross_entropy
from nas_reid.losses.objective import Objective, build_losses
from nas_reid.losses.triplet import triplet_batch_hard
from nas_reid.model import Output

LOGITS = torch.tensor([[2, 0, -1, .5], [0, 1, 0, 3], [2, 0, -1, .5], [0, 1, 0, 3]], dtype=torch.float64)
POINTS = torch.tensor([[0, 0], [1, 0], [0, 2], [3, 0]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1, 1])


def make(stripes: int = 1, **terms) -> Objective:
    return Objective(terms, num_classes=4, width=2, stripes=stripes)


def test_equation_5_of_auto_reid():
    output = Output(POINTS, LOGITS)
    loss, terms = make(cross_entropy={"weight": 0.25, "smoothing": 0.1}, triplet={"weight": 0.75})(output, LABELS)
    identity = cross_entropy(output.logits, LABELS, smoothing=0.1)
    triplet = triplet_batch_hard(POINTS, LABELS, margin=0.3)
    assert loss.item() == pytest.approx(0.25 * identity.item() + 0.75 * triplet.item(), abs=1e-14)
    assert terms == {"cross_entropy": identity, "triplet": triplet}
    assert not any(term.requires_grad for term in terms.values())


def test_a_loss_of_weight_zero_is_not_computed():
    """The input of the loss that is off is not a number: touching it would show."""
    nothing = torch.full((4, 2), torch.nan)
    loss, terms = make(cross_entropy={}, triplet={"weight": 0})(Output(nothing, LOGITS), LABELS)
    assert list(terms) == ["cross_entropy"] and loss == terms["cross_entropy"] and loss.isfinite()
    loss, terms = make(cross_entropy=None, triplet={"weight": 1})(Output(POINTS, nothing), LABELS)
    assert list(terms) == ["triplet"] and loss == terms["triplet"] and loss.isfinite()


def test_every_stripe_counts_as_much():
    features, logits = torch.stack([POINTS, POINTS.flip(1) * 3], 1), torch.stack([LOGITS, -LOGITS], 1)
    _, terms = make(stripes=2, cross_entropy={}, triplet={})(Output(features, logits), LABELS)
    for name in terms:
        single = [make(**{name: {}})(Output(features[:, s], logits[:, s]), LABELS)[0] for s in range(2)]
        assert terms[name].item() == pytest.approx((single[0] + single[1]).item() / 2, abs=1e-14)


@pytest.mark.parametrize(("terms", "message"), [
    ({"cross_entropy": {"weight": -1}}, r"objective\.cross_entropy\.weight=-1 must be finite and >= 0"),
    ({"cross_entropy": {"weight": float("nan")}}, r"cross_entropy\.weight=nan must be"),
    ({"cross_entropy": {"weight": True}}, r"cross_entropy\.weight=True must be"),
    ({"triplet": {"margin": -1.0}}, r"triplet\.margin=-1\.0 must be finite and >= 0, or null for the soft margin"),
    ({"triplet": {"margin": -1.0, "weight": 0}, "cross_entropy": {}}, r"triplet\.margin=-1\.0"),
    ({"cross_entropy": {"smoothing": 1.0}}, r"cross_entropy\.smoothing=1\.0 must lie in \[0, 1\)"),
    ({"cross_entropy": {"smoothing_form": "half"}}, "smoothing_form=half is unknown; known are: all_classes, wrong_"),
    ({"cross_entropy": {"margin": 1.0}}, r"objective\.cross_entropy has no argument margin; it has: weight, smoothing"),
    ({"cross_entropy": 0.5}, r"objective\.cross_entropy=0\.5 must hold arguments, such as \{weight: 1\}"),
    ({"softmax": {}}, r"objective\.softmax is no loss; known are: cross_entropy, triplet"),
    ({}, "objective has no loss with a weight above 0"),
    ({"triplet": {"weight": 0}, "cross_entropy": None}, "objective has no loss with a weight above 0"),
    (3, "objective=3 must map losses to their arguments"),
])
def test_illegal_terms_are_refused_by_name(terms, message):
    with pytest.raises(ConfigError, match=message):
        build_losses(terms)
