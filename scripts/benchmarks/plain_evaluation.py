"""Market-1501's evaluation by a distance matrix, a full argsort, and a loop over the queries.

The public frameworks' Python code (they ship a Cython twin beside it) takes a query's precisions in a loop over the
gallery: ``precisions_by_loop``. NumPy can do that step at once: ``precisions_at_once``.
"""

from collections.abc import Callable

import numpy as np

Precisions = Callable[[np.ndarray], np.ndarray]


def precisions_by_loop(found: np.ndarray) -> np.ndarray:
    """Precision at every rank of a list of hits and misses (1 and 0), rank by rank."""
    return np.asarray([hits / (rank + 1.0) for rank, hits in enumerate(found.cumsum())])


def precisions_at_once(found: np.ndarray) -> np.ndarray:
    """Precision at every rank of a list of hits and misses (1 and 0)."""
    return found.cumsum() / np.arange(1, len(found) + 1)


def evaluate_plainly(query: np.ndarray, gallery: np.ndarray, *, query_ids: tuple[np.ndarray, np.ndarray],
                     gallery_ids: tuple[np.ndarray, np.ndarray], precisions: Precisions,
                     max_rank: int = 50) -> tuple[np.ndarray, float]:
    """CMC [max_rank] and mAP.

    Args:
        query: float32 [N_q, D].
        gallery: float32 [N_g, D].
        query_ids, gallery_ids: pids and camids.
        precisions: one of the two functions above.
        max_rank: length of the CMC.
    """
    distances = (query**2).sum(axis=1)[:, None] + (gallery**2).sum(axis=1)[None] - 2 * query @ gallery.T
    order = np.argsort(distances, axis=1)
    (query_pids, query_camids), (gallery_pids, gallery_camids) = query_ids, gallery_ids
    matches = (gallery_pids[order] == query_pids[:, None]).astype(np.int32)
    curves, averages = [], []
    for row, pid, camid, ranked in zip(matches, query_pids, query_camids, order, strict=True):
        found = row[~((gallery_pids[ranked] == pid) & (gallery_camids[ranked] == camid))]
        if not found.any():
            continue
        curves.append(np.minimum(found.cumsum(), 1)[:max_rank])
        averages.append((precisions(found) * found).sum() / found.sum())
    return np.mean(curves, axis=0), float(np.mean(averages))
