"""The same numbers as pytorch-metric-learning where the definitions coincide."""

import math

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ArcFaceLoss, CircleLoss, CosFaceLoss, TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional

from nas_reid.losses.loss import LossInput
from nas_reid.losses.margin_softmax import ArcFace, CosFace
from nas_reid.losses.pairs import circle_pairs
from nas_reid.losses.triplet import triplet_batch_hard

LABELS = torch.arange(12) // 3
FEATURES = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("ours", "theirs"), [
    (ArcFace(margin=0.5, scale=64), ArcFaceLoss(4, 5, margin=math.degrees(0.5), scale=64)),
    (ArcFace(margin=1.2, scale=8), ArcFaceLoss(4, 5, margin=math.degrees(1.2), scale=8)),  # many angles pass π
    (CosFace(margin=0.35, scale=64), CosFaceLoss(4, 5, margin=0.35, scale=64)),
])
def test_margin_softmax(ours, theirs):
    expected = theirs(FEATURES, LABELS)
    cosines = functional.normalize(FEATURES) @ functional.normalize(theirs.W.detach().double().T).T
    assert ours(LossInput(FEATURES, cosines, LABELS)).item() == pytest.approx(expected.item(), abs=1e-10)


@pytest.mark.parametrize(("margin", "scale"), [(0.4, 80.0), (0.25, 2.0)])
def test_circle_pairs(margin, scale):
    expected = CircleLoss(m=margin, gamma=scale, reducer=MeanReducer())(FEATURES, LABELS).item()
    assert circle_pairs(FEATURES, LABELS, margin=margin, scale=scale).item() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("margin", [0.3, 2.0])
def test_batch_hard_triplet(margin):
    distance = LpDistance(normalize_embeddings=False)
    hard = BatchHardMiner(distance=distance)(FEATURES, LABELS)
    loss = TripletMarginLoss(margin=margin, distance=distance, reducer=MeanReducer())
    expected = loss(FEATURES, LABELS, hard).item()
    assert triplet_batch_hard(FEATURES, LABELS, margin=margin).item() == pytest.approx(expected, abs=1e-10)
