"""A run folder belongs to one process at a time."""

import os
import threading
from pathlib import Path

import pytest

from nas_reid.errors import ConfigError
from nas_reid.files import lock, unfinished
from nas_reid.run.sole_run import sole_run


def refused(folder: Path) -> list[str]:
    """What somebody else, here another thread, is told about a folder."""
    told = []

    def enter() -> None:
        try:
            with sole_run(folder):
                pass
        except ConfigError as error:
            told.append(str(error))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return told


def test_the_second_is_told_who_is_there_and_what_to_do(tmp_path: Path) -> None:
    with sole_run(tmp_path):
        message, = refused(tmp_path)
        assert f"process {os.getpid()} on " in message and f"is running in {tmp_path}; wait until it ends" in message
        assert "hydra.run.dir=" in message
        with sole_run(tmp_path / "." / "checkpoints" / ".."):  # the same folder in the same hands
            assert refused(tmp_path)
        assert refused(tmp_path), "the inner block ended what the outer one holds"
        assert not refused(tmp_path / "another")
    assert not refused(tmp_path) and not list(tmp_path.glob(".*"))


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    kept = {tmp_path / ".hydra" / "config.yaml", tmp_path / "metrics.jsonl", tmp_path / "checkpoints" / "last.pt",
            unfinished(tmp_path / "wandb" / "file")}
    left = {unfinished(tmp_path / name) for name in ("genotype.json", "checkpoints/last.pt", "genotypes/epoch_001.json",
                                                     "pictures/cells.png")}
    for path in kept | left:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with sole_run(tmp_path):
        assert {path for path in tmp_path.rglob("*") if path.is_file()} == kept | {tmp_path / ".lock"}


def test_without_locks_runs_go_on_and_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    unfinished(tmp_path / "genotype.json").touch()  # perhaps of a living process
    with sole_run(tmp_path):
        assert not refused(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
