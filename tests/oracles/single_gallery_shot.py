"""The single-gallery-shot CMC by going through every possible draw."""

from itertools import product

import numpy as np

from tests.oracles.ranking import ranked_list


def expected_cmc(distances: np.ndarray, queries: list[tuple[int, int]], gallery: list[tuple[int, int]],
                 length: int) -> np.ndarray | None:
    """Mean over queries and draws of "found among the first k"; None where no query has a match."""
    curves = []
    for row, query in zip(distances, queries, strict=True):
        order = ranked_list(row, query, gallery)
        people: dict[int, list[int]] = {}
        for position, j in enumerate(order):
            people.setdefault(gallery[j][0], []).append(position)
        if query[0] not in people:
            continue
        own = list(people).index(query[0])
        ranks = [1 + sum(position < draw[own] for position in draw) for draw in product(*people.values())]
        curves.append([np.mean([rank <= k for rank in ranks]) for k in range(1, length + 1)])
    return np.mean(curves, axis=0) if curves else None
