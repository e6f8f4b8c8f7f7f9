"""Sweeps: one folder per job, a summary of all, and launchers that work without our code knowing."""

import importlib.util
import json
import re
import statistics
from pathlib import Path

import pytest

from tests.cli.commands import SEARCH, invoke, run

ONE_EPOCH = (*SEARCH, "epochs=1")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a search over two seeds, without its pictures of cells to save time."""
    folder = tmp_path_factory.mktemp("sweep") / "two_seeds"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas_reid.search.draw_search", lambda *_: [])
        outcome = invoke("search", "-m", *ONE_EPOCH, "seed=0,1", f"hydra.sweep.dir={folder}")
    assert outcome.code == 0, outcome.err
    return folder


def results(folder: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/result.json")}


def test_a_sweep_leaves_one_folder_per_job(swept: Path) -> None:
    assert sorted(path.name for path in swept.iterdir() if path.is_dir()) == ["0-seed0", "1-seed1"]
    assert {name: result["seed"] for name, result in results(swept).items()} == {"0-seed0": 0, "1-seed1": 1}
    for name in ("0-seed0", "1-seed1"):
        assert (swept / name / "genotype.json").exists() and (swept / name / "search.log").stat().st_size


def test_the_summary_gives_mean_and_deviation_and_the_best_genotype(swept: Path, tmp_path: Path) -> None:
    outcome = invoke("compare", swept, f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    scores = {name: result["selection"]["mAP"] for name, result in results(swept).items()}
    assert f"{statistics.fmean(scores.values()):.2%} ± {statistics.stdev(scores.values()):.2%}" in outcome.out
    best = swept / max(scores, key=scores.get) / "genotype.json"
    assert f"python -m nas_reid.retrain genotype={best}" in outcome.out
    assert len(re.findall(r"^search +2 ", outcome.out, re.M)) == 1, "the two seeds are one group"
    page = (tmp_path / "compare.html").read_text()
    for text in ("2 runs compared", "#1 0-seed0", "#2 1-seed1", "validation: retrieval: mAP", "against parameters",
                 "normal: input0 → node2", 'id="epoch"', "Settings that differ"):
        assert text in page, text


def test_a_job_of_a_sweep_gives_what_the_same_run_alone_gives(swept: Path, tmp_path: Path,
                                                              no_pictures: None) -> None:
    """Nothing of the job before it stays in the process."""
    invoke("search", *ONE_EPOCH, "seed=1", f"hydra.run.dir={tmp_path}")
    assert (tmp_path / "genotype.json").read_bytes() == (swept / "1-seed1" / "genotype.json").read_bytes()


def test_a_failing_job_is_named_and_a_repeated_sweep_does_only_what_is_missing(tmp_path: Path,
                                                                               no_pictures: None) -> None:
    sweep = ("-m", *ONE_EPOCH, "batch.size=8,48", f"hydra.sweep.dir={tmp_path}",
             "hydra.sweep.subdir=job-${hydra.job.num}")
    outcome = invoke("search", *sweep)
    assert outcome.code == 1 and "Traceback" not in outcome.err + outcome.out
    assert "DataError: a batch needs 12 identities and the data have 8; lower batch.size" in outcome.err
    assert (tmp_path / "job-0" / "result.json").exists() and not (tmp_path / "job-1" / "result.json").exists()
    assert "a batch needs 12 identities" in (tmp_path / "job-1" / "search.log").read_text()
    assert "is complete already" in invoke("search", *sweep).out


@pytest.mark.skipif(importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None, reason="an extra")
def test_joblib_runs_jobs_side_by_side(swept: Path, tmp_path: Path) -> None:
    outcome = run("search", "-m", *ONE_EPOCH, "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
                  f"hydra.sweep.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    for name in ("0-seed0", "1-seed1"):
        assert (tmp_path / name / "genotype.json").read_bytes() == (swept / name / "genotype.json").read_bytes()


@pytest.mark.skipif(importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None, reason="an extra")
def test_submitit_runs_a_job_in_a_process_of_its_own(swept: Path, tmp_path: Path) -> None:
    outcome = invoke("search", "-m", *ONE_EPOCH, "seed=1", "hydra/launcher=submitit_local",
                     f"hydra.sweep.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "0-seed1" / "genotype.json").read_bytes() == (swept / "1-seed1" / "genotype.json").read_bytes()
    assert list((tmp_path / ".submitit").glob("*/*_log.out")), "what the job said"
