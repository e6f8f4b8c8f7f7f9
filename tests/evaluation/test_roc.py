import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve

from nas_reid.errors import DataError
from nas_reid.evaluation import distance as distance_module
from nas_reid.evaluation import roc as roc_module
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.roc import roc
from tests.oracles.ranking import squared_distances


def problem(seed: int, *, levels: int | None = None, num_queries: int = 20, num_gallery: int = 90) -> tuple:
    """Features and labels with junk, distractors and images that never count; with ``levels``, many ties."""
    rng = np.random.default_rng(seed)
    query, gallery = (rng.normal(size=(n, 3)) for n in (num_queries, num_gallery))
    if levels:
        query, gallery = (np.round(features * levels) for features in (query, gallery))
    labels = {f"{side}_{kind}": torch.tensor(rng.integers(low, high, n))
              for side, n, lowest in (("query", num_queries, 1), ("gallery", num_gallery, -1))
              for kind, low, high in (("pids", lowest, 7), ("camids", 0, 3))}
    return torch.tensor(query, dtype=torch.float32), torch.tensor(gallery, dtype=torch.float32), labels


def pairs(query, gallery, labels) -> tuple[np.ndarray, np.ndarray]:
    """Distance of every pair that counts, and whether it is genuine."""
    distances = squared_distances(query.numpy(), gallery.numpy())
    rows = [(distances[i, j], labels["query_pids"][i] == labels["gallery_pids"][j])
            for i in range(len(query)) for j in range(len(gallery))
            if labels["gallery_pids"][j] != -1 and not (labels["query_pids"][i] == labels["gallery_pids"][j] and
                                                        labels["query_camids"][i] == labels["gallery_camids"][j])]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def curve(query, gallery, labels, **options):
    return roc(feature_distances(query, gallery, distance="squared_euclidean"), **labels, **options)


def test_published_values():
    """facts/fastreid.md, 9.2: genuine {.1, .2, .3, .6}, impostor {.4, .5, .7, .8}; with the roles swapped it is 0.5."""
    gallery = torch.tensor([[.1], [.2], [.3], [.6], [.4], [.5], [.7], [.8]])
    labels = {"query_pids": torch.tensor([1]), "query_camids": torch.tensor([0]), "gallery_camids": torch.ones(8),
              "gallery_pids": torch.tensor([1, 1, 1, 1, 2, 2, 2, 2])}
    result = roc(feature_distances(torch.zeros(1, 1), gallery), **labels)
    assert result.tpr_at(0.25) == 0.75
    assert result.tpr.tolist() == [0.25, 0.5, 0.75, 1] and result.fpr.tolist() == [0, 0, 0, 0.5]
    assert result.summary() == {"TPR@FPR=1e-4": 0.75, "TPR@FPR=1e-3": 0.75, "TPR@FPR=1e-2": 0.75, "genuine_pairs": 4,
                                "impostor_pairs": 4}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [None, 2])
def test_equals_scikit_learn(seed, levels, monkeypatch):
    query, gallery, labels = problem(seed, levels=levels)
    distances, genuine = pairs(query, gallery, labels)
    fpr, tpr, thresholds = roc_curve(genuine, -distances, drop_intermediate=False)
    monkeypatch.setattr(distance_module, "BLOCK_MEMORY", 90 * 32 * (1 + seed))
    monkeypatch.setattr(roc_module, "_LOOKUPS", 1 + 200 * seed)
    result = curve(query, gallery, labels)
    assert (result.num_genuine, result.num_impostor) == (genuine.sum(), (~genuine).sum())
    at = [np.argmin(np.abs(thresholds + t)) for t in result.thresholds.numpy()]
    np.testing.assert_allclose(result.fpr, fpr[at], atol=1e-15)
    np.testing.assert_allclose(result.tpr, tpr[at], atol=1e-15)
    assert len(at) == len(set(distances[genuine].round(9)))
    for rate in (0.0, 1e-3, 0.01, 0.05, 0.3, 1.0):
        assert result.tpr_at(rate) == pytest.approx(tpr[fpr <= rate].max(), abs=1e-15)


def test_few_points_are_exact_and_never_flatter():
    query, gallery, labels = problem(9, num_queries=60, num_gallery=300)
    distances, genuine = pairs(query, gallery, labels)
    whole, thin = curve(query, gallery, labels), curve(query, gallery, labels, points=50)
    assert len(whole.thresholds) > 500 and len(thin.thresholds) == 50 and thin.tpr[-1] == 1
    for threshold, tpr, fpr in zip(thin.thresholds, thin.tpr, thin.fpr, strict=True):
        accepted = distances <= threshold.item() + 1e-6
        assert (tpr.item(), fpr.item()) == pytest.approx((accepted[genuine].mean(), accepted[~genuine].mean()))
    for rate in (0.01, 0.1, 0.5):
        assert whole.tpr_at(rate) - 1 / 50 - 1e-12 <= thin.tpr_at(rate) <= whole.tpr_at(rate)


def test_no_threshold_is_strict_enough():
    """The nearest pair of all is an impostor's."""
    labels = {"query_pids": torch.tensor([1]), "query_camids": torch.tensor([0]), "gallery_camids": torch.ones(2),
              "gallery_pids": torch.tensor([2, 1])}
    result = roc(feature_distances(torch.zeros(1, 1), torch.tensor([[1.], [2]])), **labels)
    assert result.tpr_at(0.5) == 0 and result.tpr_at(1) == 1


def test_one_kind_of_pairs_is_refused():
    query, gallery, labels = problem(0)
    with pytest.raises(DataError, match="has a match in the gallery"):
        curve(query, gallery, labels | {"query_pids": torch.full((20,), 50)})
    with pytest.raises(DataError, match=r"shows the same person.*evaluation\.roc=false"):
        curve(query, gallery, labels | {"query_pids": torch.ones(20), "gallery_pids": torch.ones(90)})
