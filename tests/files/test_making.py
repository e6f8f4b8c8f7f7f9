"""One makes, the others wait."""

import logging
import threading
from pathlib import Path

import pytest

from nas_reid.files import making, unfinished
from nas_reid.files.making import sole_maker


def test_who_waits_says_so_once_and_sees_how_far_the_other_is(
        tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    target, shown = tmp_path / "target", []

    class Bar:
        n = 0

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            shown.append("closed")

        def update(self, count: int) -> None:
            self.n += count
            shown.append(self.n)

    monkeypatch.setattr(making, "progress_total", lambda **_: Bar())
    monkeypatch.setattr("nas_reid.files.lock.POLL_S", 0.005)
    half, enough = threading.Event(), threading.Event()

    def make() -> None:
        with sole_maker(target, what="it", total=4, unit="img", done=lambda _: 0):
            half.set()
            enough.wait(10)
            target.write_text("made")

    def done(path: Path) -> int:
        if len(shown) > 2:
            enough.set()
        return int(path.read_text())

    maker = threading.Thread(target=make)
    maker.start()
    half.wait(10)
    unfinished(target).write_text("1")
    unfinished(target).write_text("3")
    unfinished(tmp_path / "another").write_text("9")
    with caplog.at_level(logging.INFO), sole_maker(target, what="it", total=4, unit="img", done=done):
        assert target.read_text() == "made"
    maker.join()
    assert shown[0] == 3 and shown[-1] == "closed" and set(shown[:-1]) == {3}
    assert [record.message.partition(" on ")[2].partition(" ")[2] for record in caplog.records] == [
        "is making it; waiting for it"]


def test_what_a_dead_maker_left_is_removed_before_the_block(tmp_path: Path) -> None:
    unfinished(tmp_path / "target").touch()
    other = unfinished(tmp_path / "other")
    other.touch()
    with sole_maker(tmp_path / "target", what="it", total=1, unit="img", done=lambda _: 0):
        assert {path.name for path in tmp_path.iterdir()} == {".target.lock", other.name}
