"""Order, bound, errors and end of threaded work."""

import threading
import time

import pytest

from nas_reid.data.threads import map_in_order


def data_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("nas_reid-data")]


def test_order_is_kept_whatever_finishes_first():
    def slow_first(item):
        time.sleep(0.02 if item % 4 == 0 else 0)
        return item * item

    assert list(map_in_order(slow_first, range(20), workers=4, window=8)) == [i * i for i in range(20)]
    assert list(map_in_order(abs, [], workers=2, window=3)) == []


def test_no_more_than_the_window_is_begun():
    begun = []
    results = map_in_order(lambda item: (begun.append(item), item)[1], range(100), workers=2, window=5)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert max(begun) < 3 + 5
    assert list(results) == list(range(3, 100))


def test_errors_come_through_and_threads_end():
    results = map_in_order(lambda item: 1 // item, [1, 2, 0, 3], workers=1, window=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert data_threads() == []


def test_threads_end_when_the_iterator_is_closed():
    results = map_in_order(abs, range(100), workers=3, window=6)
    next(results)
    assert data_threads()
    results.close()
    assert data_threads() == []
