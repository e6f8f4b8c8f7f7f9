"""What a result says beside the plain metrics."""

import json

import numpy as np
import pytest
import torch

from nas_reid.data.trial import Trial
from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.findings import decide, findings, findings_lines, verify
from nas_reid.evaluation.protocol import same_room
from nas_reid.evaluation.reranking import KReciprocal
from nas_reid.evaluation.retrieval import compare, compare_trials
from nas_reid.evaluation.roc import roc
from nas_reid.evaluation.threshold import Threshold


def embedded(seed: int, count: int) -> Embedded:
    rng = np.random.default_rng(seed)
    return Embedded(torch.tensor(rng.normal(size=(count, 3)), dtype=torch.float32),
                    torch.tensor(rng.integers(1, 5, count)), torch.tensor(rng.integers(0, 4, count)))


def test_each_part_where_it_was_asked_for():
    query, gallery = embedded(0, 12), embedded(1, 30)
    retrieval = compare(query, gallery, distance="euclidean", variants={"rerank": KReciprocal(k1=4, k2=2)})
    bare = compare(query, gallery, distance="euclidean")
    assert findings(bare, bootstrap=None) == {}
    found = findings(retrieval, bootstrap=Bootstrap(samples=200), curve=verify(retrieval, distance="euclidean"))
    assert set(found) == {"confidence", "verification", "variants"} and json.loads(json.dumps(found)) == found
    assert found["confidence"]["samples"] == 200 and "of" not in found["confidence"]
    assert found["variants"]["rerank"] == retrieval.variants["rerank"].summary()
    lines = list(findings_lines("toy", found))
    assert len(lines) == 2 and lines[0].startswith("toy, 95% interval over identities: mAP 0.")
    assert lines[1].startswith("toy, verification: TPR@FPR=1e-4 ") and not list(findings_lines("toy", {}))
    assert [line.split(":")[0] for line in retrieval.lines("toy")] == ["toy", "toy rerank"]


def test_a_trial_is_verified_under_its_own_rule():
    query, gallery = embedded(0, 12), embedded(1, 30)
    trials = [Trial("rooms", range(10), range(5, 30), junk="same_room"), Trial("rooms", range(10), range(20))]
    retrieval = compare_trials(query, gallery, trials, distance="cosine")
    curve = verify(retrieval, distance="cosine")
    assert retrieval.junk is same_room
    part = gallery[torch.arange(5, 30)]
    expected = roc(feature_distances(query.features[:10], part.features, distance="cosine"), junk=same_room,
                   query_pids=query.pids[:10], query_camids=query.camids[:10], gallery_pids=part.pids,
                   gallery_camids=part.camids)
    assert torch.equal(curve.tpr, expected.tpr) and curve.num_impostor == expected.num_impostor
    assert findings(retrieval, bootstrap=None, curve=curve)["verification"]["of"] == "the first of rooms"


def test_a_threshold_is_told_with_what_was_expected_and_what_was_observed():
    query, gallery = embedded(0, 12), embedded(1, 30)
    retrieval = compare(query, gallery, distance="euclidean")
    threshold = Threshold(1.5, (1.4, 1.6), 0.1, 0.1, (0.05, 0.2), 0.9, "euclidean", False, 9, 40, 400, 0.95)
    decisions = decide(retrieval, [threshold], distance="euclidean", flip=False)
    distances = feature_distances(query.features, gallery.features).block(0, 12)
    different = query.pids[:, None] != gallery.pids
    rate = float((distances[different] <= 1.5).double().mean())
    found = findings(retrieval, bootstrap=None, decisions=decisions)
    assert found["threshold"]["observed"]["false_positive_rate"] == rate and found["threshold"]["expected"] == 0.1
    line = next(iter(findings_lines("toy", found)))
    assert line.startswith(f"toy, threshold 1.5: accepts {rate:.2%} of the impostor pairs, expected 10.00% [5.00%, 20")
    other = decide(retrieval, [threshold], distance="euclidean", flip=True)
    assert other.threshold is None and findings(retrieval, bootstrap=None, decisions=other) == {}


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_verification_sees_the_ranked_distance(distance):
    query, gallery = embedded(0, 12), embedded(1, 30)
    curve = verify(compare(query, gallery, distance=distance), distance=distance)
    is_match = (query.pids[:, None] == gallery.pids) & (query.camids[:, None] != gallery.camids)
    distances = feature_distances(query.features, gallery.features, distance=distance).block(0, 12)
    assert curve.thresholds[-1] == distances[is_match].max() and curve.num_genuine == is_match.sum()
    assert curve.num_genuine + curve.num_impostor == 12 * 30 - int((
        (query.pids[:, None] == gallery.pids) & (query.camids[:, None] == gallery.camids)).sum())
