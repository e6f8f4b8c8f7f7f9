"""The CMC of CUHK03's classic protocol: the published toy, every draw by hand, and draws that converge."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nas_reid.errors import DataError
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.retrieval import describe_protocol, retrieve
from nas_reid.evaluation.single_gallery_shot import single_gallery_shot_cmc
from tests.oracles.ranking import squared_distances
from tests.oracles.single_gallery_shot import expected_cmc

QUERY = [(1, 0), (2, 0), (3, 0), (9, 0)]
GALLERY = [(1, 0), (1, 1), (2, 1), (3, 0), (1, 2), (2, 2)]
DISTANCES = [[.1, .2, .3, .4, .5, .6], [.05, .5, .4, .3, .2, .1], [.15, .35, .05, .45, .25, .55],
             [.2, .1, .4, .3, .6, .5]]


class Matrix:
    """A ready-made distance matrix as a provider of blocks."""

    def __init__(self, values: list[list[float]]) -> None:
        self.values = torch.tensor(values, dtype=torch.float64)
        self.shape, self.device = tuple(self.values.shape), self.values.device

    def block(self, start: int, stop: int) -> torch.Tensor:
        return self.values[start:stop].clone()


def cmc(distances, query, gallery, **options) -> list[float]:
    (query_pids, query_camids), (gallery_pids, gallery_camids) = torch.tensor(query).T, torch.tensor(gallery).T
    return single_gallery_shot_cmc(distances, query_pids=query_pids, query_camids=query_camids,
                                   gallery_pids=gallery_pids, gallery_camids=gallery_camids, **options).tolist()


def test_published_toy():
    """facts/torchreid.md, item 5: the exact expectation."""
    assert cmc(Matrix(DISTANCES), QUERY, GALLERY, max_rank=2) == pytest.approx([0.416667, 0.708333], abs=1e-6)
    assert cmc(Matrix(DISTANCES), QUERY, GALLERY) == pytest.approx([5 / 12, 17 / 24, 1])


def test_draws_are_repeatable_and_converge():
    first = cmc(Matrix(DISTANCES), QUERY, GALLERY, draws=10, seed=3)
    assert first == cmc(Matrix(DISTANCES), QUERY, GALLERY, draws=10, seed=3)
    assert first != cmc(Matrix(DISTANCES), QUERY, GALLERY, draws=10, seed=4)
    assert [value * 20 for value in first] == pytest.approx([round(value * 20) for value in first])  # 2 x 10 draws
    assert cmc(Matrix(DISTANCES), QUERY, GALLERY, draws=20_000) == pytest.approx([5 / 12, 17 / 24, 1], abs=0.01)


@pytest.mark.parametrize("seed", range(25))
def test_equals_the_mean_over_every_draw(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    query, gallery = (rng.integers(-2, 3, (n, 2)).astype(np.float32) for n in (5, 9))  # many ties
    query_ids, gallery_ids = ([(int(p), int(c)) for p, c in rng.integers((low, 0), (4, 3), (n, 2))]
                              for low, n in ((1, 5), (-1, 9)))
    monkeypatch.setattr("nas_reid.evaluation.single_gallery_shot.rows_per_block", lambda *_, **__: 1 + seed % 6)
    length = min(3, len({pid for pid, _ in gallery_ids} - {-1}))
    expected = expected_cmc(squared_distances(query, gallery), query_ids, gallery_ids, length)
    distances = feature_distances(torch.tensor(query), torch.tensor(gallery), distance="euclidean")
    if expected is None:
        with pytest.raises(DataError, match="has a match in the gallery"):
            cmc(distances, query_ids, gallery_ids, max_rank=3)
    else:
        np.testing.assert_allclose(cmc(distances, query_ids, gallery_ids, max_rank=3), expected, atol=1e-12)


def test_one_image_per_person_is_the_usual_cmc():
    distances = Matrix([[3, 1, 2], [1, 2, 3]])
    assert cmc(distances, [(1, 0), (2, 0)], [(1, 1), (2, 1), (3, 1)]) == [0, 0.5, 1]


def test_retrieval_replaces_the_cmc_alone(monkeypatch):
    monkeypatch.setattr("nas_reid.evaluation.retrieval.extract", lambda _, batches, **__: batches.features)
    generator = torch.Generator().manual_seed(0)
    query, gallery = (SimpleNamespace(features=torch.randn(n, 3, generator=generator), pids=torch.arange(n) % 4 + 1,
                                      camids=torch.full((n,), camid)) for n, camid in ((6, 0), (20, 1)))
    usual, single = (retrieve(None, query, gallery, distance="cosine", flip=False, device=torch.device("cpu"),
                              single_gallery_shot=flag).ranking for flag in (False, True))
    assert single.mAP == usual.mAP and single.first_hit.equal(usual.first_hit)
    assert len(usual.cmc) == 20 and len(single.cmc) == 4 and single.cmc[-1] == 1
    assert single.summary()["rank1"] == float(single.cmc[0]) != usual.summary()["rank1"]
    assert describe_protocol("cosine", False, True)["cmc"] != describe_protocol("cosine", False)["cmc"]


def test_no_match_anywhere():
    with pytest.raises(DataError, match="has a match in the gallery"):
        cmc(Matrix([[1, 2]]), [(5, 0)], [(5, 0), (6, 1)])
