import numpy as np
import pytest
import torch

from nas_reid.evaluation.nearest import nearest, smallest
from tests.oracles.ranking import ranked_list, squared_distances


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("levels", [1, 1000])
def test_equals_the_start_of_the_ranked_list(k, levels):
    """With many ties and with few; some lists are shorter than k."""
    rng = np.random.default_rng(k)
    query, gallery = (rng.integers(-levels, levels, (n, 2), endpoint=True).astype(np.float32) for n in (30, 12))
    query_ids, gallery_ids = rng.integers((0, 0), (2, 2), (30, 2)), rng.integers((-1, 0), (2, 2), (12, 2))
    lists = nearest(torch.tensor(query), torch.tensor(gallery), k=k, query_pids=torch.tensor(query_ids[:, 0]),
                    query_camids=torch.tensor(query_ids[:, 1]), gallery_pids=torch.tensor(gallery_ids[:, 0]),
                    gallery_camids=torch.tensor(gallery_ids[:, 1]))
    people = [tuple(person) for person in gallery_ids.tolist()]
    for found, row, person in zip(lists.tolist(), squared_distances(query, gallery), query_ids.tolist(), strict=True):
        expected = ranked_list(row, tuple(person), people)[:k]
        assert found == expected + [-1] * (k - len(expected))


@pytest.mark.parametrize("k", [1, 4, 20, 21])
def test_smallest_is_the_start_of_a_stable_sort(k):
    rows = torch.randint(4, (50, 20), generator=torch.Generator().manual_seed(k)).double()
    values, columns = smallest(rows, k)
    order = rows.sort(dim=1, stable=True)
    assert torch.equal(values, order.values[:, :k])
    assert torch.equal(columns, order.indices[:, :k])
