"""k-reciprocal re-ranking with dense matrices and Python sets, written from the paper's Eqs. 1-12."""

import numpy as np


def reciprocal(order: np.ndarray, i: int, k: int) -> set[int]:
    """R(i, k): those of i's k nearest, itself not counted, that have i among theirs."""
    return {int(j) for j in order[i, :k + 1] if i in order[j, :k + 1]}


def reranked(distances: np.ndarray, num_queries: int, k1: int, k2: int, weight: float) -> np.ndarray:
    """Final query x gallery distances from all pairwise distances [N, N], queries first."""
    order = np.argsort(distances, axis=1, kind="stable")
    relative = distances ** 2 / (distances ** 2).max(axis=1, keepdims=True)
    encoded = np.zeros_like(relative)
    for i in range(len(relative)):
        own = reciprocal(order, i, k1)
        expanded = own | {i}
        for candidate in own:
            theirs = reciprocal(order, candidate, round(k1 / 2))
            if len(theirs & own) > 2 / 3 * len(theirs):
                expanded |= theirs
        members = sorted(expanded)
        encoded[i, members] = np.exp(-relative[i, members])
        encoded[i] /= encoded[i].sum()
    encoded = np.stack([encoded[order[i, :k2]].mean(axis=0) for i in range(len(relative))])
    intersection = np.minimum(encoded[:num_queries, None], encoded[None, num_queries:]).sum(axis=2)
    union = np.maximum(encoded[:num_queries, None], encoded[None, num_queries:]).sum(axis=2)
    return (1 - weight) * (1 - intersection / union) + weight * relative[:num_queries, num_queries:]
