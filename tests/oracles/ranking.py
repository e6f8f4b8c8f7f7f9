"""CMC, AP and INP by walking one sorted list per query: slow, and nothing to get wrong."""

import numpy as np


def squared_distances(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """||q - g||² in float64 by subtraction."""
    return ((query.astype(np.float64)[:, None] - gallery.astype(np.float64)[None]) ** 2).sum(axis=2)


def cosine_distances(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """1 - cos(q, g) in float64; a zero vector is orthogonal to everything."""
    norms = [np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True) for x in (query, gallery)]
    query, gallery = (x / np.where(n == 0, 1, n) for x, n in zip((query, gallery), norms, strict=True))
    return 1 - query @ gallery.T


def ranked_list(distances: np.ndarray, query: tuple[int, int], gallery: list[tuple[int, int]]) -> list[int]:
    """Gallery indices by increasing distance, then index, without junk; identities are (pid, camid)."""
    order = sorted(range(len(gallery)), key=lambda j: (distances[j], j))
    return [j for j in order if gallery[j][0] != -1 and gallery[j] != query]


def score(distances: np.ndarray, queries: list[tuple[int, int]], gallery: list[tuple[int, int]]) -> list[dict | None]:
    """Per query the AP, INP and first hit's rank, or None where nothing can be found."""
    results: list[dict | None] = []
    for row, query in zip(distances, queries, strict=True):
        order = ranked_list(row, query, gallery)
        ranks = [position for position, j in enumerate(order, start=1) if gallery[j][0] == query[0]]
        results.append({
            "ap": sum(found / position for found, position in enumerate(ranks, start=1)) / len(ranks),
            "inp": len(ranks) / ranks[-1],
            "first": ranks[0],
        } if ranks else None)
    return results
