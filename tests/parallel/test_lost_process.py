"""A process of several is killed: the others end and say where the run stands; torchrun goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, SEARCH

EPOCHS = 3
ARGUMENTS = (*SEARCH, f"epochs={EPOCHS}", "augment=none", "wandb.mode=disabled")


def wait_for(happened: Callable[[], object], process: subprocess.Popen) -> None:
    while not happened():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def records(folder: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_others_end_and_say_where_the_run_stands(folder: Path) -> None:
    code, out, err = json.loads((folder / "lost.json").read_text())
    assert code == 1 and "Traceback" not in out + err
    assert err.count("another of the 2 processes of this run has ended without a word") == 1
    assert "the run stands after epoch 1" in err and "torchrun --nproc_per_node=2 -m nas_reid.search" in err
    assert not (folder / "lost" / "result.json").exists()


def child_of_rank(rank: int, agent: int) -> int:
    """The process that torchrun gave this rank."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    return next(int(child) for child in children
                if f"\0RANK={rank}\0" in f"\0{Path(f'/proc/{child}/environ').read_text(errors='replace')}")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")
def test_torchrun_continues_from_the_last_epoch_in_the_same_folder(tmp_path: Path) -> None:
    """Whose name is the time at which the first attempt began."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--max-restarts=1"]
    agent = subprocess.Popen([*torchrun, "-m", "nas_reid.search", *ARGUMENTS], cwd=tmp_path, text=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: list(tmp_path.glob("outputs/search/*/*/checkpoints/last.pt")), agent)
        os.kill(child_of_rank(0, agent.pid), signal.SIGKILL)
        said = agent.communicate(timeout=240)[0]
    finally:
        agent.kill()
    folder, = tmp_path.glob("outputs/search/*/*")
    assert agent.returncode == 0, said
    assert f"continuing {folder} after epoch" in said
    assert records(folder) == list(range(1, EPOCHS + 1)) and (folder / "result.json").exists()
