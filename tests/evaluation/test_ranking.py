import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_reid.errors import ConfigError, DataError
from nas_reid.evaluation.ranking import Ranking, rank, rank_blocks
from tests.oracles.ranking import cosine_distances, score, squared_distances


class Matrix:
    """A ready-made distance matrix as a provider of blocks."""

    def __init__(self, values: list[list[float]]) -> None:
        self.values = torch.tensor(values, dtype=torch.float64)
        self.shape = tuple(self.values.shape)
        self.device = self.values.device

    def block(self, start: int, stop: int) -> torch.Tensor:
        return self.values[start:stop].clone()


def rank_matrix(values, query, gallery, **options) -> Ranking:
    """Rank a literal matrix; ``query`` and ``gallery`` are lists of (pid, camid)."""
    (query_pids, query_camids), (gallery_pids, gallery_camids) = torch.tensor(query).T, torch.tensor(gallery).T
    return rank_blocks(Matrix(values), query_pids=query_pids, query_camids=query_camids,
                       gallery_pids=gallery_pids, gallery_camids=gallery_camids, **options)


def test_torchreid_toy():
    """facts/torchreid.md, item 4: two queries skipped, and max_rank beyond the gallery."""
    result = rank_matrix([[.1, .2, .3, .4, .5, .6], [.05, .5, .4, .3, .2, .1], [.15, .35, .05, .45, .25, .55],
                          [.2, .1, .4, .3, .6, .5]],
                         [(1, 0), (2, 0), (3, 0), (9, 0)], [(1, 0), (1, 1), (2, 1), (3, 0), (1, 2), (2, 2)])
    assert result.cmc.tolist() == [0.5, 1, 1, 1, 1, 1]
    assert result.ap[:2].tolist() == pytest.approx([0.75, 0.45], abs=1e-15)
    assert result.mAP == pytest.approx(0.6, abs=1e-15)
    assert result.valid.tolist() == [True, True, False, False]
    assert result.ap[2:].isnan().all() and result.first_hit[2:].tolist() == [0, 0]
    assert result.num_skipped == 2


def test_fastreid_toy():
    """facts/fastreid.md, 9.1."""
    result = rank_matrix([[.1, .2, .3, .4, .5, .6], [.35, .15, .25, .45, .05, .55], [.6, .5, .4, .3, .2, .1]],
                         [(1, 0), (2, 0), (3, 0)], [(1, 0), (2, 1), (1, 1), (3, 1), (2, 0), (1, 2)], max_rank=5)
    assert result.ap.tolist() == pytest.approx([0.45, 1, 1 / 3])
    assert result.inp.tolist() == pytest.approx([0.4, 1, 1 / 3])
    assert result.mINP == pytest.approx(0.577778, abs=1e-6)
    assert result.cmc.tolist() == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])
    assert result.summary() == pytest.approx({"rank1": 1 / 3, "rank5": 1, "rank10": 1, "rank20": 1, "mAP": 0.594444,
                                              "mINP": 0.577778, "num_queries": 3, "num_skipped": 0}, abs=1e-6)


def test_junk_and_distractors_by_hand():
    """facts/crossmodal.md, item 3: pid -1 and the own camera vanish, the distractor stays."""
    result = rank_matrix([[1, 2, 3, 4, 5, 6]], [(5, 1)], [(-1, 3), (5, 1), (0, 2), (5, 2), (7, 4), (5, 6)])
    assert result.cmc.tolist() == [0, 1, 1, 1, 1]  # as long as the gallery without pid -1
    assert result.mAP == 0.5


def test_another_junk_rule():
    """SYSU-MM01's rule as an argument: a camera-3 query ignores all of camera 2 (facts/crossmodal.md, item 2)."""
    def same_room(_query_pids, query_camids, _gallery_pids, gallery_camids):
        return (query_camids == 3) & (gallery_camids == 2)

    result = rank_matrix([[1, 2, 3, 4, 5, 6]], [(1, 3)], [(2, 2), (1, 2), (3, 1), (3, 4), (1, 4), (1, 5)],
                         junk=same_room)
    assert result.mAP == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert result.mINP == 0.5


def test_ties_rank_by_gallery_index():
    gallery = [(2, 1), (1, 1), (3, 1), (1, 2)]
    result = rank_matrix([[.5, .5, .5, .5]], [(1, 0)], gallery)
    assert result.ap.tolist() == [(1 / 2 + 2 / 4) / 2]
    assert result.inp.tolist() == [0.5]


@st.composite
def problems(draw):
    """Small-integer features with many duplicates, so that ties, junk, distractors and skipped queries abound."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    num_queries, num_gallery = draw(st.integers(1, 7)), draw(st.integers(1, 30))
    size = draw(st.integers(1, 4))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    features = [rng.integers(-levels, levels, (n, size), endpoint=True).astype(np.float32)
                for n in (num_queries, num_gallery)]
    query = [(int(p), int(c)) for p, c in rng.integers((1, 0), (4, 2), (num_queries, 2), endpoint=True)]
    gallery = [(int(p), int(c)) for p, c in rng.integers((-1, 0), (4, 2), (num_gallery, 2), endpoint=True)]
    return *features, query, gallery


@given(problems(), st.sampled_from([1, 2, 3, None]))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_equals_the_oracle(problem, block):
    query, gallery, query_ids, gallery_ids = problem
    expected = score(squared_distances(query, gallery), query_ids, gallery_ids)
    arguments = dict(zip(("query_pids", "query_camids"), torch.tensor(query_ids).T, strict=True),
                     **dict(zip(("gallery_pids", "gallery_camids"), torch.tensor(gallery_ids).T, strict=True)))
    if not any(expected):
        with pytest.raises(DataError, match="has a match in the gallery"):
            rank(torch.tensor(query), torch.tensor(gallery), block=block, **arguments)
        return
    result = rank(torch.tensor(query), torch.tensor(gallery), block=block, **arguments)
    assert result.valid.tolist() == [r is not None for r in expected]
    found = [r for r in expected if r]
    assert result.first_hit[result.valid].tolist() == [r["first"] for r in found]
    np.testing.assert_allclose(result.ap[result.valid], [r["ap"] for r in found], atol=1e-14)
    np.testing.assert_allclose(result.inp[result.valid], [r["inp"] for r in found], atol=1e-15)
    cmc = [np.mean([r["first"] <= k for r in found]) for k in range(1, len(result.cmc) + 1)]
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-15)


def random_problem(seed: int, *, num_queries: int = 40, num_gallery: int = 300, size: int = 48) -> tuple:
    generator = torch.Generator().manual_seed(seed)
    features = [torch.randn(n, size, generator=generator) for n in (num_queries, num_gallery)]
    labels = {f"{side}_{kind}": torch.randint(high, (n,), generator=generator)
              for side, n in (("query", num_queries), ("gallery", num_gallery))
              for kind, high in (("pids", 12), ("camids", 3))}
    return *features, labels


@pytest.mark.parametrize("distance", ["euclidean", "squared_euclidean", "cosine"])
def test_random_features_equal_the_oracle(distance):
    query, gallery, labels = random_problem(0)
    matrix = cosine_distances if distance == "cosine" else squared_distances
    expected = score(matrix(query.numpy(), gallery.numpy()),
                     list(zip(labels["query_pids"].tolist(), labels["query_camids"].tolist(), strict=True)),
                     list(zip(labels["gallery_pids"].tolist(), labels["gallery_camids"].tolist(), strict=True)))
    result = rank(query, gallery, distance=distance, **labels)
    np.testing.assert_allclose(result.ap, [r["ap"] for r in expected], atol=1e-14)
    assert result.num_skipped == 0


def test_ap_equals_scikit_learn():
    from sklearn.metrics import average_precision_score

    query, gallery, labels = random_problem(1)
    result = rank(query, gallery, **labels)
    distances = squared_distances(query.numpy(), gallery.numpy())
    for i, row in enumerate(distances):
        same = labels["gallery_pids"] == labels["query_pids"][i]
        kept = ~(same & (labels["gallery_camids"] == labels["query_camids"][i]))
        assert result.ap[i].item() == pytest.approx(average_precision_score(same[kept], -row[kept]), abs=1e-12)


def test_duplicated_gallery_rows_give_one_result_for_every_block():
    """Each gallery image three times, far apart: exact ties that a matrix product would break by position."""
    query, gallery, labels = random_problem(2, num_gallery=701)
    gallery = gallery.repeat(3, 1)
    for name in ("gallery_pids", "gallery_camids"):
        labels[name] = torch.randint(12, (len(gallery),), generator=torch.Generator().manual_seed(len(name)))
    results = [rank(query, gallery, block=block, **labels) for block in (1, 3, 17, 40, None)]
    for result in results[1:]:
        assert torch.equal(result.ap, results[0].ap)
        assert torch.equal(result.cmc, results[0].cmc)
        assert torch.equal(result.inp, results[0].inp)
    single = squared_distances(query.numpy(), gallery[:701].numpy())
    expected = score(np.tile(single, 3),
                     list(zip(labels["query_pids"].tolist(), labels["query_camids"].tolist(), strict=True)),
                     list(zip(labels["gallery_pids"].tolist(), labels["gallery_camids"].tolist(), strict=True)))
    np.testing.assert_allclose(results[0].ap, [r["ap"] for r in expected], atol=1e-14)


def test_a_gallery_of_one_camera_is_refused_with_advice():
    with pytest.raises(DataError, match=r"none of the 2 queries .* 1 of them .* from another camera"):
        rank_matrix([[1, 2], [1, 2]], [(1, 0), (2, 0)], [(1, 0), (3, 0)])


def test_bad_input_is_refused():
    query, gallery, labels = random_problem(3)
    with pytest.raises(ConfigError, match="distance='manhattan' is unknown; known are: cosine, euclidean"):
        rank(query, gallery, distance="manhattan", **labels)
    with pytest.raises(DataError, match="have lengths"):
        rank(query[:-1], gallery, **labels)
    with pytest.raises(DataError, match="48 dimensions and gallery features 47"):
        rank(query, gallery[:, :-1], **labels)
    with pytest.raises(DataError, match="is the query or gallery list empty"):
        rank(query[:0], gallery, **labels)
    gallery[7, 3] = torch.nan
    with pytest.raises(DataError, match="image 7 are not finite"):
        rank(query, gallery, **labels)
