"""The CMC over people by writing down, per query, the order in which its gallery's people first appear."""

from collections.abc import Callable

import numpy as np

Person = tuple[int, int]  # pid, camid


def first_ranks(distances: np.ndarray, queries: list[Person], gallery: list[Person],
                junk: Callable[[Person, Person], bool]) -> list[int | None]:
    """Per query the 1-based place of its person among the people, or None."""
    ranks: list[int | None] = []
    for row, query in zip(distances, queries, strict=True):
        people: list[int] = []
        for j in sorted(range(len(gallery)), key=lambda j: (row[j], j)):
            pid = gallery[j][0]
            if pid != -1 and not junk(query, gallery[j]) and pid not in people:
                people.append(pid)
        ranks.append(people.index(query[0]) + 1 if query[0] in people else None)
    return ranks
