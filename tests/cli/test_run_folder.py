"""Who may use a run folder, and what is cleared out of it."""

import json
from pathlib import Path

import pytest

from nas_reid.files import unfinished
from nas_reid.files.lock import holding
from tests.cli.commands import SEARCH, Outcome, invoke
from tests.cli.refusals import assert_refused


def test_a_second_process_in_a_run_folder_is_refused_before_it_writes(
        searched: tuple[Path, Outcome], tmp_path: Path) -> None:
    for folder in (tmp_path, searched[0]):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
        with holding(folder / ".lock"):
            outcome = invoke("search", *SEARCH, "seed=1", f"hydra.run.dir={folder}")
            assert_refused(outcome, rf"process \d+ on \S+ is running in {folder}; wait until it ends",
                           r"hydra\.run\.dir=")
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_a_job_of_a_sweep_whose_folder_is_taken_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_reid.search.run", lambda settings, job: settings.seed)
    (tmp_path / "0").mkdir()
    with holding(tmp_path / "0" / ".lock"):
        outcome = invoke("search", "-m", *SEARCH, "seed=0,1", f"hydra.sweep.dir={tmp_path}",
                         "hydra.sweep.subdir=${seed}")
    assert outcome.code == 1 and f"is running in {tmp_path / '0'}" in outcome.err
    assert (tmp_path / "1" / "metrics.jsonl").exists() and not (tmp_path / "0" / "metrics.jsonl").exists()


def test_a_finished_run_that_is_asked_for_again_loses_what_killed_ones_left(searched: tuple[Path, Outcome]) -> None:
    left = [unfinished(searched[0] / name) for name in ("report.html", "checkpoints/last.pt", "pictures/cells.png")]
    for path in left:
        path.touch()
    result = json.loads((searched[0] / "result.json").read_text())
    outcome = invoke("search", *SEARCH, f"hydra.run.dir={searched[0]}")
    assert outcome.code == 0 and "is complete already" in outcome.out
    assert not any(path.exists() for path in left) and not (searched[0] / ".lock").exists()
    assert json.loads((searched[0] / "result.json").read_text()) == result
