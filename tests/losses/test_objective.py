"""The weighted sum of losses: what is computed, what is refused, and what is left alone."""

import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.losses.cross_entropy import cross_entropy
from nas_reid.losses.objective import Objective, build_losses
from nas_reid.losses.triplet import triplet_batch_hard
from nas_reid.network.model import Output

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


def test_only_an_update_changes_the_state_and_the_state_is_saved():
    output = Output(POINTS, LOGITS)
    first, second = (make(center={}, triplet={}).double() for _ in range(2))
    before = first(output, LABELS)[0]
    assert first(output, LABELS)[0] == before
    first.update(output, LABELS)
    after = first(output, LABELS)[0]
    assert after < before and list(first.state_dict()) == ["losses.center.0.centers"]
    second.load_state_dict(first.state_dict())
    assert second(output, LABELS)[0] == after


def test_stripes_have_centers_of_their_own():
    objective = make(stripes=2, center={}).double()
    objective.update(Output(torch.stack([POINTS, -POINTS], 1), torch.stack([LOGITS, LOGITS], 1)), LABELS)
    first, second = (loss.centers for loss in objective.losses["center"])
    assert torch.equal(first, -second) and first.any()


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
    ({"arcface": {"margin": 2}}, r"objective\.arcface\.margin=2 must lie in \[0, 1\.5708\]"),
    ({"circle": {"margin": "wide"}}, r"objective\.circle\.margin=wide must lie in \[0, 1\]"),
    ({"cosface": {"scale": 0}}, r"objective\.cosface\.scale=0 must be positive"),
    ({"circle_pairs": {"margin": 2}}, r"objective\.circle_pairs\.margin=2 must lie in \[0, 1\]"),
    ({"weighted_triplet": {"margin": -1}}, r"weighted_triplet\.margin=-1 must be finite and >= 0, or null"),
    ({"center": {"rate": 0}}, r"objective\.center\.rate=0 must lie in \(0, 1\]"),
    ({"cross_modality": {"temperature": 0}}, r"objective\.cross_modality\.temperature=0 must be positive"),
    ({"softmax": {}}, r"objective\.softmax is no loss; known are: cross_entropy, triplet"),
    ({}, "objective has no loss with a weight above 0"),
    ({"triplet": {"weight": 0}, "cross_entropy": None}, "objective has no loss with a weight above 0"),
    (3, "objective=3 must map losses to their arguments"),
])
def test_illegal_terms_are_refused_by_name(terms, message):
    with pytest.raises(ConfigError, match=message):
        build_losses(terms)
