"""Thresholds by counting, and by writing every resample out as a list of people (Snijders and Borgatti 1999)."""

import math
from collections.abc import Sequence

import numpy as np

Pair = tuple[float, int, int]  # distance, and whose the two images are


def threshold(pairs: Sequence[Pair], rate: float) -> float:
    """The largest distance that at most ``rate`` of the pairs do not exceed; else one just below all."""
    distances = sorted(distance for distance, _, _ in pairs)
    allowed = [t for t in distances if sum(d <= t for d in distances) <= rate * len(distances) + 1e-9]
    return max(allowed) if allowed else math.nextafter(distances[0], -math.inf)


def resampled(pairs: Sequence[Pair], drawn: Sequence[int]) -> list[Pair]:
    """The pairs among people some of whom were drawn several times: every two places hold a pair of people."""
    return [pair for one in drawn for other in drawn for pair in pairs if pair[1:] == (one, other)]


def intervals(pairs: Sequence[Pair], rate: float, *, people: int, samples: int, seed: int,
              level: float) -> tuple[list[float], list[float]]:
    """Intervals of the threshold, and of the rate at the threshold of all pairs."""
    generator, fitted = np.random.default_rng(seed), threshold(pairs, rate)
    thresholds, rates = [], []
    while len(thresholds) < samples:
        sample = resampled(pairs, generator.integers(people, size=people).tolist())
        if sample:
            thresholds.append(threshold(sample, rate))
            rates.append(sum(distance <= fitted for distance, _, _ in sample) / len(sample))
    ends = [(1 - level) / 2, (1 + level) / 2]
    return list(np.quantile(thresholds, ends)), list(np.quantile(rates, ends))
