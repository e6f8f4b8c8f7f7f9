import numpy as np
import pytest
import torch

from nas_reid.errors import DataError
from nas_reid.evaluation import distance as distance_module
from nas_reid.evaluation.distance import DISTANCES, GridFeatures, feature_distances
from tests.oracles.ranking import cosine_distances, squared_distances

POINTS, OTHERS = torch.tensor([[3., 4], [1, 0]]), torch.tensor([[0., 0], [3, 4], [4, 3]])


def full(query, gallery, distance="euclidean"):
    return feature_distances(query, gallery, distance=distance).block(0, len(query))


def test_values_by_hand():
    """facts/torchreid.md, item 6; a zero vector is at cosine distance 1."""
    assert full(POINTS, OTHERS, "squared_euclidean").tolist() == [[25, 0, 2], [1, 20, 18]]
    np.testing.assert_allclose(full(POINTS, OTHERS), [[5, 0, 2**0.5], [1, 20**0.5, 18**0.5]], rtol=1e-15)
    expected = [[1, 0, 0.04], [1, 0.4, 0.2]]
    np.testing.assert_allclose(full(POINTS, OTHERS, "cosine"), expected, atol=1e-15)


@pytest.mark.parametrize("size", [1, 3, 64, 2048])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e15])
def test_close_to_float64_at_every_scale(size, scale):
    generator = torch.Generator().manual_seed(size)
    query, gallery = (scale * torch.randn(n, size, generator=generator) for n in (5, 20))
    exact = squared_distances(query.numpy(), gallery.numpy())
    np.testing.assert_allclose(full(query, gallery, "squared_euclidean"), exact, rtol=2e-6, atol=1e-12 * scale**2)
    np.testing.assert_allclose(full(query, gallery), exact**0.5, rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(full(query, gallery, "cosine"), cosine_distances(query.numpy(), gallery.numpy()),
                               atol=1e-6)


def test_a_huge_row_does_not_coarsen_the_others():
    generator = torch.Generator().manual_seed(0)
    query, gallery = torch.randn(4, 32, generator=generator), torch.randn(9, 32, generator=generator)
    alone = full(query, gallery)
    assert torch.equal(full(query, torch.cat([gallery, torch.full((1, 32), 1e30)]))[:, :9], alone)


@pytest.mark.parametrize("distance", sorted(DISTANCES))
def test_bit_identical_at_every_position_and_block(distance, monkeypatch):
    """Rows repeated at many positions, single rows, small tiles, and the pairwise form."""
    generator = torch.Generator().manual_seed(1)
    query, row = torch.randn(37, 512, generator=generator), torch.randn(1, 512, generator=generator)
    gallery = torch.cat([torch.randn(131, 512, generator=generator), row.expand(70, -1)])
    whole = full(query, gallery, distance)
    assert (whole[:, 131:] == whole[:, 131:132]).all()
    provider = feature_distances(query, gallery, distance=distance)
    assert torch.equal(torch.cat([provider.block(i, i + 1) for i in range(37)]), whole)
    rows, columns = torch.cartesian_prod(torch.arange(37), torch.arange(201)).T
    assert torch.equal(provider.pairs(rows, columns).view(37, 201), whole)
    monkeypatch.setattr(distance_module, "_TILE_MEMORY", 1)
    assert torch.equal(full(query, gallery, distance), whole)


@pytest.mark.parametrize("distance", sorted(DISTANCES))
def test_symmetric_with_a_zero_diagonal(distance):
    features = 30 * torch.randn(50, 100, generator=torch.Generator().manual_seed(2)) + 5
    block = full(features, features, distance)
    assert torch.equal(block, block.T)
    assert torch.equal(block.diagonal(), torch.zeros(50, dtype=torch.float64))


def test_dot_products_on_the_grid_are_exact():
    """Compared with arbitrary-precision integers, at the widest magnitudes the grid allows."""
    features = torch.rand(6, 2048, generator=torch.Generator().manual_seed(3)) * 0.01 + 0.99
    rows = GridFeatures.of(features).rows
    integers = [[int(x * 2**30) for x in row] for row in rows.tolist()]
    dots = rows.double() @ rows.double().T
    for i in range(6):
        for j in range(6):
            assert int(dots[i, j].item() * 2**60) == sum(a * b for a, b in zip(integers[i], integers[j], strict=True))


def test_empty_or_flat_features_are_refused():
    with pytest.raises(DataError, match=r"shape \[3\]"):
        GridFeatures.of(torch.ones(3))
    with pytest.raises(DataError, match=r"shape \[4, 0\]"):
        GridFeatures.of(torch.ones(4, 0))
