"""The check by the trackers' own code, where they are not installed: as in the environment of these tests."""

import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_trackers.py"


@pytest.mark.parametrize("tracker", ["boxmot", "ultralytics"])
def test_a_tracker_that_is_not_there_is_named(tracker: str, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture) -> None:
    if find_spec(tracker) is not None:
        pytest.skip(f"{tracker} is installed")
    monkeypatch.setattr("sys.argv", ["check_trackers.py", tracker, "folder", "images"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert f"error: {tracker} is not installed here; docs/trackers.md says" in capsys.readouterr().err
