"""The losses as sums over rows, in plain Python."""

import math


def smoothed_cross_entropy(logits: list[list[float]], labels: list[int], smoothing: float) -> float:
    """Mean over rows of -sum_c target_c log p_c, with smoothing/N on every class."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        log_sum = math.log(sum(math.exp(x) for x in row))
        for c, x in enumerate(row):
            target = smoothing / len(row) + (1 - smoothing) * (c == label)
            total -= target * (x - log_sum)
    return total / len(labels)


def batch_hard(features: list[list[float]], labels: list[int], margin: float | None) -> float:
    """Mean over the rows that have both a positive and a negative."""
    losses = []
    for i, x in enumerate(features):
        positives = [math.dist(x, y) for j, y in enumerate(features) if j != i and labels[j] == labels[i]]
        negatives = [math.dist(x, y) for j, y in enumerate(features) if labels[j] != labels[i]]
        if positives and negatives:
            gap = max(positives) - min(negatives)
            losses.append(math.log1p(math.exp(gap)) if margin is None else max(0.0, margin + gap))
    return sum(losses) / len(losses)
