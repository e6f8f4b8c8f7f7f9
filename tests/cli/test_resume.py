"""A run that was stopped and started again ends as one never stopped, bit for bit."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import nas_reid.retrain
import nas_reid.search
import nas_reid.training.epoch
from nas_reid.run.job import Job
from tests.cli.commands import RETRAIN, SEARCH, Outcome, invoke, start

pytestmark = pytest.mark.usefixtures("no_pictures")

# Every user of random numbers at once: Gumbel noise of two samples, dropout, augmentation, drop-path. And centres.
NOISY_SEARCH = (*SEARCH, "epochs=3", "algorithm=gumbel", "algorithm.warmup_epochs=1", "algorithm.samples=2",
                "head.dropout=0.3", "head.embedding=8", "augment=strong", "objective.weights.center.weight=0.01")
NOISY_RETRAIN = (*RETRAIN, "epochs=3", "drop_path=0.5", "head.dropout=0.3", "head.embedding=8", "augment=strong",
                 "augment.cutout={p: 0.5}", "augment.autoaugment={p: 0.5}", "ema=0.9", "accumulate=3",
                 "optimizer.bias_lr_factor=2", "optimizer.warmup_steps=4", "genotype=auto_reid/retrieval",
                 "network.channels=4", "network.layers=[1,1]", "objective.center.weight=0.01")


class Stopped(BaseException):
    """Stands in for a kill: nothing in the engine may catch it."""


def stop_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *, call: int) -> None:
    """Stop the process as ``owner.name`` is about to be called for the ``call``-th time (from 1)."""
    original, calls = getattr(owner, name), iter(range(1, 1_000_000))

    def counted(*arguments: object, **keywords: object) -> object:
        if next(calls) == call:
            raise Stopped
        return original(*arguments, **keywords)

    monkeypatch.setattr(owner, name, counted)


def flat(state: object, prefix: str = "") -> dict[str, object]:
    """A checkpoint's leaves by dotted key."""
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else None
    if items is None:
        return {prefix: state}
    return {name: leaf for key, value in items for name, leaf in flat(value, f"{prefix}.{key}").items()}


def assert_same_run(one: Path, other: Path) -> None:
    """Equal checkpoints, genotypes, metrics and results; only times may differ."""
    for file in sorted(path.relative_to(one) for path in (one / "checkpoints").iterdir()):
        first, second = (flat(torch.load(run / file, weights_only=True)) for run in (one, other))
        assert first.keys() == second.keys()
        for key, value in first.items():
            same = torch.equal(value, second[key]) if isinstance(value, Tensor) else value == second[key]
            assert same, f"{file}: {key} differs"
    for file in sorted(path.relative_to(one) for path in one.rglob("*.json") if path.name != "result.json"):
        assert (one / file).read_bytes() == (other / file).read_bytes(), f"{file} differs"
    assert metrics(one) == metrics(other)
    results = [json.loads((run / "result.json").read_text()) for run in (one, other)]
    assert results[0]["metrics"] == results[1]["metrics"] and results[0]["selection"] == results[1]["selection"]


def metrics(run: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if not key.startswith("time/")} for record in records]


def finished(command: str, folder: Path, *arguments: object) -> Outcome:
    outcome = invoke(command, *arguments, f"hydra.run.dir={folder}")
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.mark.parametrize(("command", "arguments"), [
    ("search", (*SEARCH, "epochs=5")),
    ("retrain", (*RETRAIN, "epochs=7", "genotype=auto_reid/retrieval", "network.channels=8", "network.layers=[1,1]"))])
def test_a_killed_process_continues_bit_for_bit(command: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finished(command, whole, *arguments)
    process = start(command, *arguments, f"hydra.run.dir={killed}")
    try:
        while not (killed / "checkpoints" / "last.pt").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL and not (killed / "result.json").exists()
    reached = torch.load(killed / "checkpoints" / "last.pt", weights_only=True)["epoch"]
    outcome = finished(command, killed, *arguments)
    assert f"continuing {killed} after epoch {reached}" in outcome.out
    assert_same_run(whole, killed)


@pytest.fixture(scope="module")
def whole_noisy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, tuple[str, ...]], Path]:
    """Folder of an uninterrupted noisy run of a command, made once."""
    runs: dict[str, Path] = {}

    def run(command: str, arguments: tuple[str, ...]) -> Path:
        if command not in runs:
            runs[command] = tmp_path_factory.mktemp(f"noisy_{command}")
            finished(command, runs[command], *arguments)
        return runs[command]

    return run


# Steps per epoch: 4 in the search; 8 batches in 3 steps in the retraining. Saving: `last` each epoch, and `best` before
# it if better.
@pytest.mark.parametrize(("command", "owner", "name", "call"), [
    ("search", nas_reid.search, "step_weights", 2),      # in the first epoch: there is no checkpoint yet
    ("search", nas_reid.search, "step_weights", 7),      # in the second, whose alphas already moved
    ("search", Job, "save", 2),                          # the record is written, its checkpoint is not
    ("search", Job, "finish", 1),                        # all epochs are over
    ("retrain", nas_reid.training.epoch, "set_lr", 20),
    ("retrain", Job, "finish_epoch", 3),                 # best.pt may be ahead of last.pt
    ("retrain", nas_reid.retrain, "export_safetensors", 1)])
def test_a_noisy_run_continues_bit_for_bit_from_anywhere(
        command: str, owner: object, name: str, call: int, whole_noisy: Callable, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = NOISY_SEARCH if command == "search" else NOISY_RETRAIN
    whole = whole_noisy(command, arguments)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, owner, name, call=call)
        invoke(command, *arguments, f"hydra.run.dir={tmp_path}")
    torch.rand(1)  # a new process would not be where this one's global generator is
    finished(command, tmp_path, *arguments)
    assert_same_run(whole, tmp_path)


def test_noise_matters_in_the_noisy_configurations(whole_noisy: Callable, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would prove nothing: a resumed run that draws other noise must be told apart."""
    whole = whole_noisy("retrain", NOISY_RETRAIN)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, nas_reid.training.epoch, "set_lr", call=20)
        invoke("retrain", *NOISY_RETRAIN, f"hydra.run.dir={tmp_path}")
    original = nas_reid.training.epoch.seed_draws
    monkeypatch.setattr(nas_reid.training.epoch, "seed_draws", lambda seed, *parts, device: original(
        seed + 1, *parts, device=device))
    finished("retrain", tmp_path, *NOISY_RETRAIN)
    assert metrics(whole)[:2] == metrics(tmp_path)[:2] and metrics(whole)[2] != metrics(tmp_path)[2]


def test_a_search_that_stopped_early_stays_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (*SEARCH, "epochs=4", "algorithm.stop_none=0.0")
    finished("search", tmp_path / "whole", *arguments)
    assert len(metrics(tmp_path / "whole")) == 1, "the limit was not reached in the first epoch"
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, Job, "finish", call=1)
        invoke("search", *arguments, f"hydra.run.dir={tmp_path / 'stopped'}")
    finished("search", tmp_path / "stopped", *arguments)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize("command", ["search", "retrain"])
def test_a_finished_run_returns_at_once(command: str, whole_noisy: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = NOISY_SEARCH if command == "search" else NOISY_RETRAIN
    folder = whole_noisy(command, arguments)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".pt", ".json", ".jsonl")}
    monkeypatch.setattr(f"nas_reid.{command}.run", lambda *_: pytest.fail("it ran again"))
    outcome = finished(command, folder, *arguments)
    assert "is complete already; resume=never starts it anew" in outcome.out
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_another_configuration_is_refused_and_its_keys_are_listed(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, nas_reid.search, "step_weights", call=6)
        invoke("search", *SEARCH, f"hydra.run.dir={tmp_path}")
    before = (tmp_path / "checkpoints" / "last.pt").read_bytes()
    outcome = invoke("search", *SEARCH, "weights.lr=0.05", "space.channels=5", f"hydra.run.dir={tmp_path}")
    assert outcome.code == 1 and "Traceback" not in outcome.err
    for part in ("last.pt belongs to another configuration", "weights.lr: 0.1 -> 0.05", "space.channels: 4 -> 5",
                 "resume=never", "hydra.run.dir="):
        assert part in outcome.err
    assert "seed" not in outcome.err.split("belongs to")[1]
    assert (tmp_path / "checkpoints" / "last.pt").read_bytes() == before


def test_a_finished_run_of_another_configuration_is_refused(whole_noisy: Callable) -> None:
    folder = whole_noisy("search", NOISY_SEARCH)
    outcome = invoke("search", *NOISY_SEARCH, "seed=7", f"hydra.run.dir={folder}")
    assert outcome.code == 1
    assert "result.json belongs to another configuration: seed: 0 -> 7" in outcome.err


def test_what_does_not_change_the_result_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, nas_reid.search, "step_weights", call=6)
        invoke("search", *SEARCH, f"hydra.run.dir={tmp_path}")
    outcome = finished("search", tmp_path, *SEARCH, "data.workers=2", "wandb.project=other", "wandb.tags=[again]")
    assert "after epoch 1" in outcome.out


def test_resume_never_starts_anew_and_forgets_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished("search", tmp_path, *SEARCH, "epochs=3")
    outcome = finished("search", tmp_path, *SEARCH, "weights.lr=0.05", "resume=never")
    assert "continuing" not in outcome.out
    assert [record["epoch"] for record in metrics(tmp_path)] == [1, 2]
    assert sorted(path.name for path in (tmp_path / "genotypes").iterdir()) == ["epoch_001.json", "epoch_002.json"]
    # Started anew and stopped at once, the folder no longer claims to hold a finished run.
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, nas_reid.search, "step_weights", call=1)
        invoke("search", *SEARCH, "resume=never", f"hydra.run.dir={tmp_path}")
    assert not (tmp_path / "result.json").exists() and not (tmp_path / "checkpoints" / "last.pt").exists()
    finished("search", tmp_path, *SEARCH)
    assert metrics(tmp_path)[-1]["epoch"] == 2


def test_the_result_is_the_last_file_of_a_run_and_a_missing_report_is_written(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (*SEARCH, "epochs=1")
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, nas_reid.run.job, "write_report", call=1)
        invoke("search", *arguments, f"hydra.run.dir={tmp_path}")
    assert not (tmp_path / "result.json").exists(), "it counts as complete and has no report"
    finished("search", tmp_path, *arguments)
    files = [path for path in tmp_path.iterdir() if path.suffix in (".json", ".html")]
    assert max(files, key=lambda path: path.stat().st_mtime_ns).name == "result.json"
    (tmp_path / "report.html").unlink()
    assert "is complete already" in finished("search", tmp_path, *arguments).out
    assert "Configuration" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("content", ["", '{"config": {"epo', "[]", "null", '{"config": 3}', "\xff"])
def test_a_damaged_result_is_written_again(content: str, whole_noisy: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole_noisy("search", NOISY_SEARCH), folder)
    good = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_bytes(content.encode("latin-1"))
    assert "result.json is damaged" in finished("search", folder, *NOISY_SEARCH).out
    assert json.loads((folder / "result.json").read_text())["selection"] == good["selection"]


def test_a_run_goes_on_with_as_many_threads_as_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, nas_reid.search, "step_weights", call=6)
        invoke("search", *SEARCH, f"hydra.run.dir={tmp_path}")
    seen = []
    monkeypatch.setattr(Job, "finish", lambda *_: seen.append(torch.get_num_threads()))
    outcome = finished("search", tmp_path, *SEARCH, "threads=2")
    assert seen == [1] and "the run goes on with 1 threads, as it began: with 2" in outcome.out
    assert torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)["threads"] == 1


def test_a_mistake_that_shows_before_the_training_leaves_no_wandb_run(tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nas_reid.run.job.Tracker, "_start_wandb", lambda _: pytest.fail("wandb was started"))
    for mistake in ("space.channels=abc", "batch.size=4000"):  # the space's own, and the data's
        assert invoke("search", *SEARCH, mistake, "wandb.mode=offline", f"hydra.run.dir={tmp_path}").code == 1
    with pytest.raises(pytest.fail.Exception, match="wandb was started"):
        invoke("search", *SEARCH, "wandb.mode=offline", f"hydra.run.dir={tmp_path}")
