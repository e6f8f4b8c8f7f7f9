"""What a comparison of searched with random architectures needs: ranks, intervals, and the luck of the best of N."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def kendall_tau(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float:
    """Kendall's rank correlation τ-b in [-1, 1], ties counted as neither agreement nor disagreement (Kendall, 1945).

    NaN where one of the two is constant.
    """
    a, b = (np.sign(values[:, None] - values[None, :]) for values in
            (np.asarray(first, np.float64), np.asarray(second, np.float64)))
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale else float("nan")


def bootstrap_interval(statistic: Callable[[NDArray[np.intp]], float], count: int, *, samples: int = 1000,
                       level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of a statistic over resamples of ``count`` items with replacement (Efron, 1979).

    Args:
        statistic: of the items at these indices.
        count: number of items.
        samples: resamples; those in which the statistic is NaN are left out.
        level: of the interval, in (0, 1).
        seed: of the resampling.
    """
    generator = np.random.default_rng(seed)
    values = [statistic(generator.integers(0, count, count)) for _ in range(samples)]
    tail = 100 * (1 - level) / 2
    low, high = np.nanpercentile(values, (tail, 100 - tail))
    return float(low), float(high)


def kendall_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """``bootstrap_interval`` of ``kendall_tau`` over pairs of values."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return bootstrap_interval(lambda rows: kendall_tau(a[rows], b[rows]), len(a))


def percentile_of(value: float, among: Sequence[float]) -> float:
    """Share of ``among`` below ``value``, those equal to it counted half, in [0, 1]."""
    values = np.asarray(among, np.float64)
    return float(((values < value).sum() + (values == value).sum() / 2) / len(values))


def permutation_p(first: Sequence[float], second: Sequence[float], *, samples: int = 10_000, seed: int = 0) -> float:
    """One-sided p-value that the mean of ``first`` is above that of ``second`` by chance: labels are shuffled.

    (1 + shuffles at least as extreme) / (1 + samples), never 0 (Phipson and Smyth, 2010).
    """
    pooled, size = np.concatenate([first, second]).astype(np.float64), len(first)
    observed = np.mean(first) - np.mean(second)
    generator = np.random.default_rng(seed)
    extreme = 0
    for _ in range(samples):
        shuffled = generator.permutation(pooled)
        extreme += shuffled[:size].mean() - shuffled[size:].mean() >= observed - 1e-12
    return (1 + extreme) / (1 + samples)


def expected_best(values: Sequence[float], draws: int) -> float:
    """Expected maximum of ``draws`` values drawn with replacement: the best of N random (Dodge et al., 2019, Eq. 5)."""
    ordered = np.sort(np.asarray(values, np.float64))
    below = (np.arange(len(ordered) + 1) / len(ordered)) ** draws
    return float((ordered * np.diff(below)).sum())


def top_overlap(scores: Sequence[float], truth: Sequence[float], *, share: float = 0.1) -> float:
    """Share of the best ``share`` by ``truth`` that is also among the best by ``scores``; chance is ``share``."""
    count = max(1, round(share * len(truth)))
    best = [set(np.argsort(-np.asarray(values, np.float64), kind="stable")[:count].tolist())
            for values in (scores, truth)]
    return len(best[0] & best[1]) / count
