"""The record of a run: exact lines, resume, result, and a wandb mirror that may fail without consequence."""

import contextlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_reid.errors import ConfigError, NasReidError
from nas_reid.record.tracking import Tracker, read_metrics


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, and wandb's staging folders inside the test's own folder."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def tracker(folder: Path, mode: str = "disabled", **more) -> Tracker:
    arguments = {"project": "test", "group": "sweep", "name": "space-seed0", "job_type": "search",
                 "config": {"seed": 0, "optim": {"lr": 0.1}}}
    return Tracker(folder, mode=mode, **{**arguments, **more})


def lines(folder: Path) -> list[str]:
    return (folder / "metrics.jsonl").read_text().splitlines()


def test_log_keeps_full_precision_and_valid_json(tmp_path):
    loss = 0.1 + 0.2
    with tracker(tmp_path) as run:
        run.log({"epoch": 0, "loss": loss, "mAP": float("nan"), "worst": [float("inf"), 1.0]})
        run.log({"epoch": 1, "loss": torch.tensor(0.5, dtype=torch.float64), "mAP": np.float32(0.25)})
    first, second = (json.loads(line, parse_constant=pytest.fail) for line in lines(tmp_path))
    assert first == {"epoch": 0, "loss": loss, "mAP": None, "worst": [None, 1.0]}
    assert second == {"epoch": 1, "loss": 0.5, "mAP": 0.25}


def test_log_is_on_disk_before_the_run_ends(tmp_path):
    with tracker(tmp_path) as run:
        run.log({"epoch": 0})
        assert lines(tmp_path) == ['{"epoch": 0}']


def test_log_needs_an_epoch(tmp_path):
    with tracker(tmp_path) as run, pytest.raises(ValueError, match=r"'epoch'.*loss"):
        run.log({"loss": 1.0})


def test_resume_leaves_the_bytes_of_a_run_never_stopped(tmp_path):
    def loss(epoch: int) -> float:
        return 1 / (epoch + 3)

    with tracker(tmp_path / "whole") as run:
        for epoch in range(5):
            run.log({"epoch": epoch, "loss": loss(epoch), "mAP": float("nan")})
    with tracker(tmp_path / "cut") as run:
        for epoch in range(4):
            run.log({"epoch": epoch, "loss": loss(epoch), "mAP": float("nan")})
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "lo')  # killed while writing
    with tracker(tmp_path / "cut") as run:
        run.resume_at(2)
        assert len(lines(tmp_path / "cut")) == 2
        for epoch in range(2, 5):
            run.log({"epoch": epoch, "loss": loss(epoch), "mAP": float("nan")})
    whole, cut = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "cut"))
    assert cut == whole


def test_resume_at_zero_starts_over(tmp_path):
    with tracker(tmp_path) as run:
        run.log({"epoch": 0})
        run.resume_at(0)
    assert lines(tmp_path) == []


def test_read_metrics_names_a_damaged_line(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 0}\n{"epo\n{"epoch": 2}\n')
    with pytest.raises(NasReidError, match=r"metrics.jsonl, line 2 .*epo"):
        read_metrics(tmp_path)


def test_read_metrics_says_what_is_missing(tmp_path):
    with pytest.raises(NasReidError, match=r"cannot read .*metrics.jsonl.*expected the metrics"):
        read_metrics(tmp_path)


def test_finish_writes_the_result(tmp_path):
    with tracker(tmp_path) as run:
        metrics = {"mAP": np.float64(0.5), "mINP": float("nan")}
        run.finish({"seed": 0, "metrics": metrics, "genotype": tmp_path / "g.json"})
    assert json.loads((tmp_path / "result.json").read_text()) == {
        "seed": 0, "metrics": {"mAP": 0.5, "mINP": None}, "genotype": str(tmp_path / "g.json")}


def test_only_rank_zero_records(tmp_path):
    with tracker(tmp_path / "run", mode="offline", rank=1) as run:
        run.log({"epoch": 0})
        run.resume_at(0)
        run.picture("cells", tmp_path / "missing.png")
        run.finish({"seed": 0})
    assert not (tmp_path / "run").exists()


def test_unknown_mode_lists_the_known(tmp_path):
    with pytest.raises(ConfigError, match=r"'onlin'.*offline, online, disabled.*WANDB_MODE"):
        tracker(tmp_path, mode="onlin")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NasReidError, match=r"cannot write .*metrics.jsonl.*writable output folder"):
        tracker(tmp_path / "file" / "run").__enter__()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with tracker(tmp_path) as run, pytest.raises(NasReidError, match=r"No space left.*free some disk space"):
        run.log({"epoch": 0})


def test_disabled_never_imports_wandb_and_leaves_two_files(tmp_path):
    script = ("import sys; from pathlib import Path; from nas_reid.record.tracking import Tracker\n"
              "with Tracker(Path(sys.argv[1]), mode='disabled', project='p', group=None, name='n',"
              " job_type='search', config={}) as run:\n"
              "    run.log({'epoch': 0}); run.picture('a', Path('a.png')); run.finish({})\n"
              "sys.exit('wandb' in sys.modules)")
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "result.json"]


def wandb_file(folder: Path) -> bytes:
    """The one offline run in the folder, raw: wandb offers no reader, but strings are stored as they are."""
    import wandb

    wandb.teardown()  # its service writes behind finish(); this waits for the last byte, as the end of a process does
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    return path.read_bytes()


def test_offline_mirrors_records_pictures_and_artifacts(tmp_path, caplog):
    caplog.set_level(logging.INFO, "nas_reid.record.tracking")
    picture = tmp_path / "cells.png"
    Image.new("RGB", (8, 8)).save(picture)
    with tracker(tmp_path / "run", mode="offline", tags=["tagged"]) as run:
        run.log({"epoch": 0, "loss": 0.40625, "mAP": float("nan")})
        run.picture("pictures/cells", picture)
        run.artifact(picture, "genotype", {"mAP": 0.5})
        run.finish({"metrics": {"rank1": 0.71875}, "config": {}})
    content = wandb_file(tmp_path / "run")
    for text in (b"loss", b"0.40625", b"0.71875", b"tagged", b"sweep", b"space-seed0-genotype", b"pictures/cells"):
        assert text in content, text
    assert len(list((tmp_path / "run").glob("wandb/offline-run-*/files/media/images/**/*.png"))) == 1
    assert "wandb sync" in caplog.text and "WARNING" not in caplog.text


def test_each_wandb_run_is_complete_after_a_resume(tmp_path):
    with tracker(tmp_path) as run:
        run.log({"epoch": 0, "loss": 0.40625})
    with tracker(tmp_path, mode="offline") as run:
        run.resume_at(1)
    assert b"0.40625" in wandb_file(tmp_path)


def test_one_wandb_run_per_job(tmp_path):
    ids = []
    for seed in range(2):
        with tracker(tmp_path / str(seed), mode="offline") as run:
            ids.append(run._run.id)
    assert len(set(ids)) == 2


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_an_exception_ends_the_wandb_run_as_failed(tmp_path, monkeypatch, error):
    codes = []
    with contextlib.suppress(RuntimeError, KeyboardInterrupt), tracker(tmp_path, mode="offline") as run:
        finish = run._run.finish
        monkeypatch.setattr(run._run, "finish", lambda exit_code: (codes.append(exit_code), finish(exit_code)))
        if error is not None:
            raise error
    assert codes == [0 if error is None else 1]


def test_online_without_a_key_falls_back_to_offline(tmp_path, caplog):
    with tracker(tmp_path, mode="online") as run:
        run.log({"epoch": 0, "loss": 0.40625})
    assert "no API key" in caplog.text
    assert b"0.40625" in wandb_file(tmp_path)


def test_a_broken_wandb_costs_a_warning_only(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)  # import wandb now raises ImportError
    with tracker(tmp_path, mode="offline") as run:
        run.log({"epoch": 0})
        run.picture("cells", tmp_path / "cells.png")
        run.finish({"seed": 0})
    assert "wandb cannot run in mode offline" in caplog.text
    assert lines(tmp_path) == ['{"epoch": 0}'] and (tmp_path / "result.json").exists()


def test_a_wandb_that_breaks_midway_costs_a_warning_only(tmp_path, caplog):
    with tracker(tmp_path, mode="offline") as run:
        run.picture("cells", tmp_path / "missing.png")
        run.log({"epoch": 0})
    assert "missing.png" in caplog.text and "complete without it" in caplog.text
    assert lines(tmp_path) == ['{"epoch": 0}']
