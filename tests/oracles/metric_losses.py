"""Losses that compare images, as sums over pairs in plain Python."""

import math

Rows = list[list[float]]


def _unit(x: list[float]) -> list[float]:
    norm = math.hypot(*x)
    return [value / norm for value in x]


def _dot(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def _softmax_mean(distances: list[float], sign: float, added: float) -> float:
    shift = max(distances) if sign > 0 else 0.0
    weights = [math.exp(sign * d - shift) for d in distances]
    return sum(w * d for w, d in zip(weights, distances, strict=True)) / (sum(weights) + added)


def weighted(features: Rows, labels: list[int], margin: float | None, added: float = 0.0) -> float:
    """Weighted-regularised triplet; the anchor is among its positives. AGW's code has ``added`` = 1e-6."""
    losses = []
    for i, x in enumerate(features):
        positives = [math.dist(x, y) for j, y in enumerate(features) if labels[j] == labels[i]]
        negatives = [math.dist(x, y) for j, y in enumerate(features) if labels[j] != labels[i]]
        if len(positives) > 1 and negatives:
            gap = _softmax_mean(positives, 1, added) - _softmax_mean(negatives, -1, added)
            losses.append(math.log1p(math.exp(gap)) if margin is None else max(0.0, margin + gap))
    return sum(losses) / len(losses)


def pair_softmax(features: Rows, labels: list[int], margin: float, scale: float, kind: str) -> float:
    """Circle (``circle``) or CosFace (``cosface``) over pairs."""
    units, losses = [_unit(x) for x in features], []
    for i, x in enumerate(units):
        same = [_dot(x, y) for j, y in enumerate(units) if j != i and labels[j] == labels[i]]
        other = [_dot(x, y) for j, y in enumerate(units) if labels[j] != labels[i]]
        if not same or not other:
            continue
        if kind == "circle":
            positive = [-max(0.0, 1 + margin - s) * (s - 1 + margin) for s in same]
            negative = [max(0.0, s + margin) * (s - margin) for s in other]
        else:
            positive, negative = [-s for s in same], [s + margin for s in other]
        total = sum(math.exp(scale * p) for p in positive) * sum(math.exp(scale * n) for n in negative)
        losses.append(math.log1p(total))
    return sum(losses) / len(losses)


def centers_of(features: Rows, labels: list[int], modalities: list[int], *, unit: bool) -> dict[int, list[list[float]]]:
    """Identity -> its centre in each modality, for the identities that have both."""
    found = {}
    for label in dict.fromkeys(labels):
        both = []
        for modality in (0, 1):
            rows = [_unit(x) if unit else x for x, y, m in zip(features, labels, modalities, strict=True)
                    if y == label and m == modality]
            if rows:
                mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
                both.append(_unit(mean) if unit else mean)
        if len(both) == 2:
            found[label] = both
    return found


def contrast(features: Rows, labels: list[int], modalities: list[int], temperature: float) -> float:
    """Symmetric InfoNCE between the modalities' identity centres."""
    centers = list(centers_of(features, labels, modalities, unit=True).values())
    total = 0.0
    for here, there in ((0, 1), (1, 0)):
        for center in centers:
            scores = [_dot(center[here], other[there]) / temperature for other in centers]
            own = _dot(center[here], center[there]) / temperature
            total -= own - math.log(sum(math.exp(score) for score in scores))
    return total / (2 * len(centers))
