"""The Pareto front, against its definition."""

from hypothesis import given
from hypothesis import strategies as st

from nas_reid.nas.selection.front import front_of


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20))
def test_the_front_is_what_no_point_beats(points: list[tuple[int, int]]) -> None:
    worth, cost = [w for w, _ in points], [c for _, c in points]
    beaten = {a for a, (wa, ca) in enumerate(points) for b, (wb, cb) in enumerate(points)
              if wb >= wa and cb <= ca and ((wb, cb) != (wa, ca) or b < a)}
    front = front_of(worth, cost)
    assert set(front) == set(range(len(points))) - beaten
    assert [cost[index] for index in front] == sorted(cost[index] for index in front)


def test_by_hand() -> None:
    assert front_of([0.5, 0.6, 0.4, 0.6], [10, 20, 15, 20]) == [0, 1]
