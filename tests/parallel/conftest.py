"""What two processes did, which most tests here look at."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.parallel.ranks import ROOT


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes left what they found and ran all commands, with ten pictures to extract features from."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        Image.fromarray(rng.integers(0, 256, (32, 16, 3), np.uint8)).save(folder / "images" / f"{number}.png")
    done = subprocess.run([sys.executable, "-m", "tests.parallel.several", str(folder)], cwd=ROOT, text=True,
                          timeout=1200, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
