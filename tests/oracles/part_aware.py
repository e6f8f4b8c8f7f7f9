"""The published part-aware op, row by row and sample by sample, in NumPy. Slow and obvious."""

import numpy as np


def part_vectors(x, *, project, key, query, epsilon=1e-5):
    """Attended stripe vectors of the published layout, batch statistics, no affine parameters.

    Args:
        x: [B, c, H, W].
        project: M pairs (weight [h, c], bias [h]).
        key, query: pairs (weight [h, h], bias [h]).

    Returns:
        The map [B, h, H, W] in which every row holds its stripe's vector.
    """
    batch, _, height, width = x.shape
    parts = len(project)
    stripe_of_row = [max(i for i in range(parts) if i * height // parts <= row) for row in range(height)]
    features = np.zeros((batch, parts, len(project[0][1])))
    for i, (weight, bias) in enumerate(project):
        rows = [row for row in range(height) if stripe_of_row[row] == i]
        for b in range(batch):
            mean = np.mean([x[b, :, row, column] for row in rows for column in range(width)], axis=0)
            features[b, i] = weight @ np.maximum(mean, 0) + bias
        features[:, i] = (features[:, i] - features[:, i].mean(0)) / np.sqrt(features[:, i].var(0) + epsilon)
    out = np.zeros((batch, features.shape[2], height, width))
    for b in range(batch):
        keys = [key[0] @ f + key[1] for f in features[b]]
        queries = [query[0] @ f + query[1] for f in features[b]]
        vectors = []
        for i in range(parts):
            weights = np.exp([keys[i] @ q for q in queries])
            vectors.append(sum(w * f for w, f in zip(weights / weights.sum(), features[b], strict=True)))
        for row in range(height):
            out[b, :, row, :] = vectors[stripe_of_row[row]][:, None]
    return out
