"""Which candidates no other one beats: the Pareto front of worth against cost."""

from collections.abc import Sequence


def front_of(worth: Sequence[float], cost: Sequence[float]) -> list[int]:
    """Indices of the points that no other point beats, by increasing cost.

    A point is beaten by one of at most its cost and at least its worth that is better in one of the two; of equal
    points the first stays.
    """
    order = sorted(range(len(worth)), key=lambda index: (cost[index], -worth[index], index))
    front: list[int] = []
    for index in order:
        if not front or worth[index] > worth[front[-1]]:
            front.append(index)
    return front
