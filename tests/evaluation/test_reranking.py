import zlib

import numpy as np
import pytest
import torch

from nas_reid.errors import ConfigError
from nas_reid.evaluation import distance as distance_module
from nas_reid.evaluation import reranking, sparse_rows
from nas_reid.evaluation.ranking import rank, rank_blocks
from nas_reid.evaluation.reranking import rerank
from tests.oracles.ranking import squared_distances
from tests.oracles.reranking import reranked


def splitmix(key: str, count: int) -> np.ndarray:
    """The U(key, i) of facts/torchreid.md, item 9: the top 24 bits of splitmix64, over 2^24."""
    mask = 2**64 - 1
    values = []
    for i in range(count):
        z = (i + (zlib.crc32(key.encode()) << 32) + 0x9E3779B97F4A7C15) & mask
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        values.append(((z ^ (z >> 31)) >> 40) / 2**24)
    return np.array(values, dtype=np.float32)


def full(query, gallery, **options):
    """The whole re-ranked matrix."""
    provider = rerank(query, gallery, **options)
    return provider.block(0, provider.shape[0])


def random_features(seed: int, num_queries: int, num_gallery: int, *, levels: int | None = None) -> tuple:
    """Features around a few centres; with ``levels`` small integers, full of equal distances and equal rows."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, 3))
    features = centres[rng.integers(5, size=num_queries + num_gallery)] + 0.3 * rng.normal(size=(num_queries
                                                                                                 + num_gallery, 3))
    if levels:
        features = np.round(features * levels)
    features = torch.tensor(features, dtype=torch.float32)
    return features[:num_queries], features[num_queries:]


def expected(query, gallery, *, k1, k2, weight, squared=False):
    union = torch.cat([query, gallery]).numpy()
    distances = squared_distances(union, union)
    return reranked(distances if squared else np.sqrt(distances), len(query), k1, k2, weight)


def test_published_code_on_a_fixed_input():
    """facts/torchreid.md, item 7; torchreid feeds squared distances, which the method squares again."""
    assert splitmix("conv1.conv.weight", 3) == pytest.approx([0.30854988, 0.92973030, 0.75954497], abs=1e-8)
    features = torch.tensor(splitmix("rerank", 240)).view(30, 8)
    final = full(features[:6], features[6:], distance="squared_euclidean")
    assert final.sum().item() == pytest.approx(43.92862, abs=1e-4)
    assert final[0, :4].tolist() == pytest.approx([0.07944, 0.07134, 0.20020, 0.10432], abs=1e-5)
    assert final.argmin(dim=1).tolist() == [1, 2, 8, 12, 0, 17]
    final = full(features[:6], features[6:], k1=6, k2=3, distance="squared_euclidean")
    assert final.sum().item() == pytest.approx(95.93961, abs=1e-4)
    assert final.argmin(dim=1).tolist() == [1, 11, 8, 12, 0, 22]


def test_zhong_on_euclidean_input():
    """facts/fastreid.md, 9.8; with k2 = 2 the sheet gives one row."""
    query, gallery = torch.eye(2), torch.tensor([[.8, .6], [.6, .8], [-1, 0], [.96, .28]])
    final = full(query, gallery, k1=3, k2=1)
    assert final[0].tolist() == pytest.approx([0.314312, 0.528716, 1.0, 0.271940], abs=1e-5)
    assert final[1].tolist() == pytest.approx([0.717786, 0.524608, 1.0, 0.823022], abs=1e-5)
    final = full(query, gallery, k1=3, k2=2)
    assert final[0].tolist() == pytest.approx([0.320486, 0.350486, 0.956406, 0.006000], abs=1e-5)


@pytest.mark.parametrize(("num_queries", "num_gallery", "k1", "k2"), [
    (1, 1, 20, 6), (3, 9, 1, 1), (5, 40, 5, 2), (7, 60, 7, 3), (10, 90, 20, 6), (4, 50, 3, 8)])
@pytest.mark.parametrize("levels", [None, 2])
def test_equals_the_dense_oracle(num_queries, num_gallery, k1, k2, levels):
    """Half of the cases have many ties; (1, 1, 20, 6) has fewer images than neighbours."""
    query, gallery = random_features(k1, num_queries, num_gallery, levels=levels)
    reference = expected(query, gallery, k1=k1, k2=k2, weight=0.3)
    np.testing.assert_allclose(full(query, gallery, k1=k1, k2=k2), reference, atol=1e-7)
    reference = expected(query, gallery, k1=k1, k2=k2, weight=1.0)
    np.testing.assert_allclose(full(query, gallery, k1=k1, k2=k2, weight=1.0), reference, atol=1e-7)


def test_blocks_of_any_size_are_bit_identical(monkeypatch):
    query, gallery = random_features(0, 9, 70)
    whole = full(query, gallery)
    provider = rerank(query, gallery)
    assert torch.equal(torch.cat([provider.block(i, i + 1) for i in range(9)]), whole)
    monkeypatch.setattr(distance_module, "BLOCK_MEMORY", 1)
    monkeypatch.setattr(distance_module, "_TILE_MEMORY", 1)
    monkeypatch.setattr(reranking, "_TILE", 9)
    monkeypatch.setattr(sparse_rows, "_ENTRIES", 7)
    assert torch.equal(full(query, gallery), whole)


def test_identical_images_are_not_divided_by_zero():
    final = full(torch.ones(2, 4), torch.ones(5, 4), k1=3, k2=2)
    assert torch.isfinite(final).all()


def test_ranking_consumes_reranked_blocks():
    """Clusters of one identity each: re-ranking must not lose to the raw distances here."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(8, 16, generator=generator)
    pids = torch.arange(120) % 8
    features = centres[pids] + 0.9 * torch.randn(120, 16, generator=generator)
    labels = {"query_pids": pids[:24], "gallery_pids": pids[24:], "query_camids": torch.zeros(24, dtype=torch.int64),
              "gallery_camids": torch.ones(96, dtype=torch.int64)}
    plain = rank(features[:24], features[24:], **labels)
    better = rank_blocks(rerank(features[:24], features[24:]), block=5, **labels)
    assert better.mAP > plain.mAP + 0.02


@pytest.mark.parametrize("values", [{"k1": 0}, {"k2": 0}, {"weight": 1.5}])
def test_illegal_values_are_refused(values):
    with pytest.raises(ConfigError, match="needs k1 >= 1, k2 >= 1 and 0 <= lambda <= 1"):
        rerank(torch.ones(2, 4), torch.ones(5, 4), **values)
