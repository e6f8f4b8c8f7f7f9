"""Two processes with half a batch each find the losses and gradients of one process with all of it."""

import subprocess
import sys
from pathlib import Path

import torch

from nas_reid.losses.gather import gather_batch
from nas_reid.losses.loss import LossInput
from tests.losses.two_processes import compute

ROOT = Path(__file__).resolve().parents[2]


def test_one_process_gathers_nothing():
    batch = LossInput(torch.ones(2, 3), torch.ones(2, 4), torch.tensor([0, 1]))
    assert gather_batch(batch) is batch


def test_two_processes_mine_over_the_whole_batch(tmp_path: Path):
    """Each process holds one identity only: by itself it would have no negative at all."""
    commands = [[sys.executable, "-m", "tests.losses.two_processes", str(rank), str(tmp_path)] for rank in range(2)]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for command in commands]
    messages = [process.communicate(timeout=60)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], messages
    expected = compute(slice(0, 8))
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name in ("loss", "gradient", "curvature", "centers"):
            assert torch.allclose(found[name], expected[name], atol=1e-12), name
