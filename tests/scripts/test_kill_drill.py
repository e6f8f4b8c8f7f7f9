"""The kill drill: it sees what differs and what was left, and kills at its moment."""

import importlib.util
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kill_drill.py"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("kill_drill", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["kill_drill"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["kill_drill"]


def leave(root: Path, *, seconds: float = 1.0, weight: float = 0.5) -> Path:
    """What a run leaves, in small."""
    run = root / "run"
    for folder in (run / ".hydra", run / "checkpoints", root / "cache"):
        folder.mkdir(parents=True)
    torch.save({"epoch": 1, "weights": {"a": torch.tensor([1.0, weight])}, "history": [torch.eye(2)]},
               run / "checkpoints" / "last.pt")
    (run / "metrics.jsonl").write_text(json.dumps({"epoch": 1, "loss": 0.1, "time/epoch_s": seconds}) + "\n")
    (run / "result.json").write_text(json.dumps({"metrics": {}, "selection": {"mAP": 0.5}, "versions": str(seconds)}))
    (run / "report.html").write_text(f"{seconds} s")
    (root / "cache" / f"{seconds}.images").write_bytes(b"decoded")
    return root


def test_runs_that_differ_in_times_alone_are_equal(script: ModuleType, tmp_path: Path) -> None:
    assert script.differences(leave(tmp_path / "whole"), leave(tmp_path / "killed", seconds=2.0)) == []


def test_everything_else_is_a_difference(script: ModuleType, tmp_path: Path) -> None:
    whole = leave(tmp_path / "whole")
    changes = {
        "run/checkpoints/.last.pt.0 was left": lambda run: (run / "checkpoints" / ".last.pt.0").touch(),
        "run/report.html is missing or too much": lambda run: (run / "report.html").unlink(),
        "run/metrics.jsonl differs": lambda run: (run / "metrics.jsonl").write_text('{"epoch": 1, "loss": 0.2}\n'),
        "run/result.json differs": lambda run: (run / "result.json").write_text('{"metrics": {}, "selection": {}}'),
        "the caches differ": lambda run: (run.parent / "cache" / "more").touch(),
    }
    for found, change in changes.items():
        killed = leave(tmp_path / "killed")
        change(killed / "run")
        assert found in script.differences(whole, killed)
        shutil.rmtree(killed)
    assert script.differences(whole, leave(tmp_path / "other", weight=0.25)) == ["run/checkpoints/last.pt differs"]


def test_the_kill_comes_after_its_moment_and_finds_only_living_ones(script: ModuleType, tmp_path: Path) -> None:
    stage = script.Stage("search", (), "run/metrics.jsonl", 0.01)
    ended = subprocess.Popen(["true"])
    assert not script.kill_after(ended.pid, tmp_path, stage, random.Random(0)), "it ended before its moment"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").touch()
    living = subprocess.Popen(["sleep", "60"], start_new_session=True)
    assert script.lives_in(living.pid, living.pid)
    assert script.kill_after(living.pid, tmp_path, stage, random.Random(0))
    assert script.survivors(living.pid) == []
    ended.returncode = living.returncode = 0  # they were waited for
