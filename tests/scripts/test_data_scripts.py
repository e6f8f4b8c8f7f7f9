"""The two scripts that look at a data folder, run as a person would."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.data.synthetic import SyntheticSpec, generate

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def save(path: Path, *stripes: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.repeat(np.array(stripes, np.uint8), 64 // len(stripes), axis=0)
    Image.fromarray(np.repeat(rows[:, None], 32, axis=1)).save(path.with_suffix(".png"))


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """Persons 2 and 3 are swap twins, so only stripes tell them apart; nobody's camera changes anything."""
    people = {1: (RED, RED), 2: (RED, GREEN), 3: (GREEN, RED), 4: (BLUE, GREEN)}
    for pid, colours in people.items():
        save(tmp_path / "bounding_box_train" / f"{pid + 10:04d}_c1s1_000001_01", *colours)
        save(tmp_path / "query" / f"{pid:04d}_c1s1_000001_01", *colours)
        save(tmp_path / "bounding_box_test" / f"{pid:04d}_c2s1_000002_01", *colours)
    return tmp_path


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=SCRIPTS.parent,
                          env={"PYTHONPATH": str(SCRIPTS.parent)}).stdout


def test_histograms_confuse_swap_twins_and_stripes_do_not(market: Path) -> None:
    lines = run("histogram_baseline.py", market).splitlines()
    rows = {line.split("  ")[0]: line for line in lines}
    assert "4 queries, 4 gallery images" in lines[0]
    assert "rank-1  75.0%" in rows["RGB histogram (512 bins)"]
    assert "rank-1 100.0%   mAP 100.0%" in rows["histogram of 8 stripes"]
    assert lines[-1] == "best colour-histogram baseline: rank-1 100.0% (histogram of 8 stripes)"


def test_a_contact_sheet_has_a_row_per_identity_and_a_column_per_camera(market: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "sheet.png"
    assert run("contact_sheet.py", market, target).strip() == str(target)
    with Image.open(target) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert pixels.shape[:2] == (16 + 8 * (128 + 4), 40 + 2 * (64 + 4))  # 4 training and 4 test persons, 2 cameras
    blue = (pixels == BLUE).all(2)
    rows = [blue[16 + 132 * row:16 + 132 * (row + 1)] for row in range(8)]
    assert [mask[:, 40:108].any() for mask in rows] == [False, False, False, True] * 2
    assert [mask[:, 108:].any() for mask in rows] == [False, False, False, True] + [False] * 4


def test_a_contact_sheet_of_drawn_pedestrians_can_show_their_parts(tmp_path: Path) -> None:
    few = SyntheticSpec("tiny", train_ids=1, test_ids=1, distractor_ids=0, cameras=1, min_cameras=1, junk=0.0)
    folder, target = generate(tmp_path, few, workers=1), tmp_path / "parts.png"
    run("contact_sheet.py", folder, target, "--masks")
    with Image.open(target) as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)[16:, 40:]
    coloured = np.ptp(pixels, axis=2) > 60
    assert 0.05 < coloured.mean() < 0.6 and not coloured[:, :5].any()


def test_histograms_follow_the_trials_of_a_protocol(tmp_path: Path) -> None:
    few = SyntheticSpec("tiny", layout="regdb", train_ids=2, test_ids=2, images_per_camera=1)
    lines = run("histogram_baseline.py", generate(tmp_path, few, workers=1), "--reader", "regdb").splitlines()
    assert "4 queries, 4 gallery images" in lines[0]
    chance = [line for line in lines if line.startswith("chance")]
    assert [line.split("%")[-1].strip() for line in chance] == ["visible to thermal", "thermal to visible"]
    assert len(lines) == 2 + 4 * 2
