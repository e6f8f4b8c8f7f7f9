"""Where nobody watches: a line every half minute with count, numbers and time left, and none for a short loop."""

import io
import logging
import sys

import pytest

import nas_reid.progress
from nas_reid.progress import progress, progress_total


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> list[float]:
    """A clock that a test moves by its one entry."""
    clock = [100.0]
    monkeypatch.setattr(nas_reid.progress.time, "monotonic", lambda: clock[0])
    caplog.set_level(logging.INFO)
    return clock


def test_a_long_loop_says_how_far_it_is(seconds: list[float], caplog: pytest.LogCaptureFixture) -> None:
    bar, seen = progress(iter("abcdefgh"), description="epoch 3/20", total=8, unit="step"), []
    for item in bar:
        seen.append(item)
        seconds[0] += 10
        bar.set_postfix({"loss_weights": f"{len(seen):.3f}", "load": "2%"})
    assert seen == list("abcdefgh")
    assert caplog.messages == ["epoch 3/20: step 3 of 8, loss_weights 3.000, load 2%, 00:50 left",
                               "epoch 3/20: step 6 of 8, loss_weights 6.000, load 2%, 00:20 left"]


def test_a_short_loop_says_nothing(seconds: list[float], caplog: pytest.LogCaptureFixture) -> None:
    for _ in progress(range(200), description="rank", unit="block"):
        seconds[0] += 0.1
    assert caplog.messages == []


@pytest.mark.parametrize(("items", "expected"), [
    ([1, 2, 3], "extract: batch 1 of 3, 1:02:00 left"), (iter([1, 2, 3]), "extract: batch 1, 31:00 so far")])
def test_the_total_is_that_of_what_is_counted(items: object, expected: str, seconds: list[float],
                                              caplog: pytest.LogCaptureFixture) -> None:
    loop = iter(progress(items, description="extract", unit="batch"))
    next(loop)
    seconds[0] += 31 * 60
    next(loop)
    assert caplog.messages == [expected]


def test_the_first_of_many_foretells_nothing(seconds: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with progress_total(description="drawing", total=5000, unit="img") as bar:
        for count in (1, 24):
            seconds[0] += 60
            bar.update(count)
    assert caplog.messages == ["drawing: img 1 of 5000, 01:00 so far", "drawing: img 25 of 5000, 6:38:00 left"]


def test_work_that_finishes_out_of_order(seconds: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with progress_total(description="decoding", total=100, unit="img") as bar:
        for _ in range(4):
            seconds[0] += 20
            bar.update(10)
    assert caplog.messages == ["decoding: img 20 of 100, 02:40 left", "decoding: img 40 of 100, 02:00 left"]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = progress([1, 2], description="rank", unit="block")
    assert list(bar) == [1, 2] and "rank: " in terminal.getvalue() and caplog.messages == []
