"""The benchmark's command line, run as a person would; what it measures is not for a test."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def bench(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPTS / "bench.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(SCRIPTS.parent)})


def test_an_earlier_result_becomes_markdown(tmp_path: Path) -> None:
    measured = {"name": "a step", "plain_form": "a slow step", "asked": "≥ 2×",
                "seconds": {"plain": [3.0, 4.0, 9.0], "ours": [1.0, 2.0, 3.0]},
                "peak_bytes": {"plain": 3 * 2**30, "ours": 2**20}}
    alone = {**measured, "name": "too large", "plain_form": "", "seconds": {"ours": [0.25]}, "peak_bytes": {}}
    count = {"name": "backward", "ops": [3000, 1000], "gib": [3.0, 1.5], "most_ops": 1200, "most_gib": 2.0}
    unasked = {**count, "name": "forward", "most_ops": None, "most_gib": None}
    report = {"command": "python scripts/bench.py step", "hardware": "two cores", "versions": "torch 2",
              "date": "2026-01-01 00:00", "load": [0.1, 2.0], "results": {"step": [measured, alone]},
              "counts": [count, unasked], "unavailable": ["inference"]}
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(report), encoding="utf-8")
    result = bench("--markdown", file)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert "load average 0.1 before and 2.0 after" in lines[0] and "    python scripts/bench.py step" in lines
    assert "| a step | 4 s | 2 s | 3.00× (2.00 to 3.00) | 3.00 GiB / 1 MiB | ≥ 2× |" in lines
    assert "| too large | – | 250 ms | – | – / – | ≥ 2× |" in lines
    assert "| backward | 3,000; 3.00 GiB | 1,000; 1.50 GiB | 3.00×; 2.00× | ≤ 1,200; ≤ 2.0 GiB |" in lines
    assert "| forward | 3,000; 3.00 GiB | 1,000; 1.50 GiB | 3.00×; 2.00× | – |" in lines
    assert "- a step: the plain form is a slow step." in lines and "- inference: not available yet." in lines


def test_an_unknown_item_is_refused() -> None:
    result = bench("speed")
    said = " ".join(result.stderr.replace("'", "").split())
    assert result.returncode == 2 and "step, sampled, threads, training, dilated" in said
