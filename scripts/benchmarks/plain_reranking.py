"""The dense k-reciprocal re-ranking of Zhong et al. (CVPR 2017), as their published NumPy code does it.

Float32 matrices of all images against all images, one full argsort, a loop over the images for their neighbourhoods,
and a loop over the queries for the Jaccard distances through lists of who has whom in the neighbourhood. As that code
feeds it in the public frameworks, the input are Euclidean distances. Their computation is included.
"""

import numpy as np


def rerank_densely(query: np.ndarray, gallery: np.ndarray, *, k1: int = 20, k2: int = 6,
                   weight: float = 0.3) -> np.ndarray:
    """Re-ranked distances, float32 [N_q, N_g].

    Args:
        query: float32 [N_q, D].
        gallery: float32 [N_g, D].
        k1, k2, weight: as in ``nas_reid.evaluation.reranking.rerank``.
    """
    union = np.concatenate([query, gallery])
    squares = (union**2).sum(axis=1)
    original = squares[:, None] + squares[None]
    original -= 2 * (union @ union.T)
    np.sqrt(np.maximum(original, 0, out=original), out=original)
    original = np.power(original, 2)
    original = np.transpose(original / np.max(original, axis=0))
    order = np.argsort(original).astype(np.int32)
    encoded = _encoded(original, order, k1)
    if k2 != 1:
        averaged = np.zeros_like(encoded)
        for i in range(len(encoded)):
            averaged[i] = np.mean(encoded[order[i, :k2]], axis=0)
        encoded = averaged
    original = original[:len(query)]
    return (_jaccard(encoded, len(query)) * (1 - weight) + original * weight)[:, len(query):]


def _reciprocal(order: np.ndarray, image: int, k: int) -> np.ndarray:
    """Those of the image's k + 1 nearest that have it among theirs."""
    forward = order[image, :k + 1]
    backward = order[forward, :k + 1]
    return forward[np.where(backward == image)[0]]


def _encoded(original: np.ndarray, order: np.ndarray, k1: int) -> np.ndarray:
    """The neighbourhoods as rows of weights, float32 [N, N]."""
    encoded = np.zeros_like(original)
    half = round(k1 / 2)
    for image in range(len(original)):
        own = expanded = _reciprocal(order, image, k1)
        for candidate in own:
            theirs = _reciprocal(order, candidate, half)
            if len(np.intersect1d(theirs, own)) > 2 / 3 * len(theirs):
                expanded = np.append(expanded, theirs)
        expanded = np.unique(expanded)
        weights = np.exp(-original[image, expanded])
        encoded[image, expanded] = weights / weights.sum()
    return encoded


def _jaccard(encoded: np.ndarray, num_queries: int) -> np.ndarray:
    """Jaccard distances of the queries' rows to all rows, float32 [N_q, N]."""
    who = [np.where(encoded[:, image] != 0)[0] for image in range(len(encoded))]
    distances = np.zeros((num_queries, len(encoded)), np.float32)
    for query in range(num_queries):
        overlap = np.zeros(len(encoded), np.float32)
        columns = np.where(encoded[query] != 0)[0]
        for column in columns:
            rows = who[column]
            overlap[rows] += np.minimum(encoded[query, column], encoded[rows, column])
        distances[query] = 1 - overlap / (2 - overlap)
    return distances
