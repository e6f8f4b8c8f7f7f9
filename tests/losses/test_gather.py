"""Two processes with half a batch each find the losses and gradients of one process with all of it."""

import subprocess
import sys
from pathlib import Path

import torch

from nas_reid.losses.gather import gather_batch
from nas_reid.losses.loss import LossInput
from tests.losses.two_processes import compute, compute_share

ROOT = Path(__file__).resolve().parents[2]


def test_one_process_gathers_nothing():
    batch = LossInput(torch.ones(2, 3), torch.ones(2, 4), torch.tensor([0, 1]))
    assert gather_batch(batch) is batch


def test_two_processes_mine_over_the_whole_batch(tmp_path: Path):
    """Each process holds one identity only: by itself it would have no negative at all."""
    second = subprocess.Popen([sys.executable, "-m", "tests.losses.two_processes", str(tmp_path)], cwd=ROOT,
                              stderr=subprocess.PIPE, text=True)
    try:
        shares = [compute_share(0, str(tmp_path))]
        message = second.communicate(timeout=120)[1]
    finally:
        second.kill()
    assert second.returncode == 0, message
    shares.append(torch.load(tmp_path / "second.pt", weights_only=True))
    expected = compute(slice(0, 8))
    for share in shares:
        for name in ("loss", "gradient", "curvature", "centers"):
            assert torch.allclose(share[name], expected[name], atol=1e-12), name
