"""Pre-training from drawn people and from class folders: what it leaves, how it goes on, and what it refuses."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from nas_reid import pretrain
from nas_reid.record.tracking import read_metrics
from nas_reid.registry import load_genotype
from nas_reid.run import compose
from nas_reid.run.job import Job, start_job
from tests.cli.commands import RETRAIN, Outcome, invoke
from tests.cli.refusals import assert_nothing_half_written, assert_refused
from tests.data.class_folders import write_classes

pytestmark = pytest.mark.usefixtures("no_pictures")

SMALL = ("genotype=resnet/resnet18", "network.channels=8", "network.stem_channels=8", "network.non_local=[0,1,0,0]")
PRETRAIN = (*SMALL, "data.image_size=[32,32]", "data.workers=1", "batch_size=8", "epochs=2",
            "optimizer.warmup_epochs=0", "threads=1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes that differ in colour."""
    return write_classes(tmp_path_factory.mktemp("classes"), train=8, val=4)


@pytest.fixture(scope="module")
def pretrained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    run = tmp_path_factory.mktemp("pretrain") / "run"
    return run, invoke("pretrain", *PRETRAIN, f"data.root={folder}", f"hydra.run.dir={run}")


def test_python_gets_what_the_command_gets_and_continues_it(pretrained: tuple[Path, Outcome], folder: Path,
                                                            tmp_path: Path) -> None:
    settings = compose.settings("pretrain", [*PRETRAIN, f"data.root={folder}"])
    for _ in range(2):  # the second finds the first complete
        with start_job(settings, tmp_path) as job:
            accuracy = pretrain.run(settings, load_genotype(settings.genotype), job)
        assert accuracy == json.loads((pretrained[0] / "result.json").read_text())["selection"]["top1_accuracy"]
    ours, theirs = (torch.load(path / "checkpoints" / "last.pt", weights_only=True)["weights"]
                    for path in (tmp_path, pretrained[0]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_it_leaves_weights_and_a_record(pretrained: tuple[Path, Outcome]) -> None:
    run, outcome = pretrained
    assert outcome.code == 0, outcome.err
    records, result = read_metrics(run), json.loads((run / "result.json").read_text())
    best = max(record["pretrain/val_top1_accuracy"] for record in records)
    assert result["kind"] == "pretrain" and result["classes"] == 3 and len(records) == 2
    assert result["selection"]["top1_accuracy"] == best and result["selection"]["top5_accuracy"] == 1  # of three
    assert torch.load(run / "checkpoints" / "best.pt", weights_only=True)["epoch"] == result["selection"]["epoch"]
    assert (run / "model.safetensors").exists()
    report = (run / "report.html").read_text()
    assert "<html" in report and "procedural generator" not in report
    assert f"next: python -m nas_reid.retrain {shlex.join(SMALL)} weights={run / 'checkpoints' / 'best.pt'}\n" \
        in outcome.out


def test_it_learns(folder: Path, tmp_path: Path) -> None:
    """Colours are told apart in a few steps."""
    invoke("pretrain", *PRETRAIN, f"data.root={folder}", "epochs=12", "crop.scale=[0.5,1]", "augment.jitter=null",
           f"hydra.run.dir={tmp_path}")
    assert json.loads((tmp_path / "result.json").read_text())["selection"]["top1_accuracy"] == 1


def test_a_retraining_starts_from_its_trunk(pretrained: tuple[Path, Outcome], tmp_path: Path) -> None:
    best = pretrained[0] / "checkpoints" / "best.pt"
    outcome = invoke("retrain", *RETRAIN, *SMALL, "epochs=1", "optimizer.warmup_epochs=0", "freeze_trunk_epochs=0",
                     "optimizer.lr=1e-12", "head.neck=false", f"weights={best}", f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert "its classifier is for other identities and stays out" in outcome.out
    before, after = (torch.load(path, weights_only=True)["weights"]
                     for path in (best, tmp_path / "checkpoints" / "best.pt"))
    assert torch.allclose(before["trunk.layer4.1.conv2.weight"], after["trunk.layer4.1.conv2.weight"], atol=1e-7)


def test_a_stopped_run_goes_on_and_a_complete_one_is_left_alone(
        pretrained: tuple[Path, Outcome], folder: Path, tmp_path: Path) -> None:
    command = (*PRETRAIN, f"data.root={folder}", "ema=0.9", f"hydra.run.dir={tmp_path / 'run'}")
    whole = invoke("pretrain", *command)
    assert whole.code == 0, whole.err
    shutil.move(tmp_path / "run", tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        saves = []
        patch.setattr("nas_reid.run.job.Job.finish_epoch", stop_after(saves))
        with pytest.raises(KeyboardInterrupt):
            invoke("pretrain", *command)
    assert not (tmp_path / "run" / "result.json").exists() and len(saves) == 2
    assert invoke("pretrain", *command).code == 0
    records = [[{key: value for key, value in record.items() if not key.startswith("time/")}
                for record in read_metrics(tmp_path / name)] for name in ("whole", "run")]
    assert records[0] == records[1]
    assert "is complete already" in invoke("pretrain", *command).out


def stop_after(saves: list[int]):
    """A stand-in for ``Job.finish_epoch`` that is interrupted in the second epoch."""
    finish_epoch = Job.finish_epoch

    def finish(job: Job, epoch: int, record: dict, started: float) -> None:
        saves.append(epoch)
        if epoch == 1:
            raise KeyboardInterrupt
        finish_epoch(job, epoch, record, started)

    return finish


def test_without_a_folder_drawn_people_are_told_apart(tmp_path: Path) -> None:
    outcome = invoke("pretrain", *PRETRAIN, "epochs=1", "data.image_size=[32,16]", "data.synthetic.size=tiny",
                     "data.synthetic.train_ids=10", "data.synthetic.test_ids=4", "data.synthetic.distractor_ids=1",
                     "data.synthetic.image_size=[48,24]", f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["classes"] == 10 and result["data"] == "drawn pedestrians"
    assert "drawn by the procedural generator" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(("damage", "parts"), [
    (lambda root: shutil.rmtree(root), (r"data\.root=\S+ is not a folder", "train/<class>")),
    (lambda root: shutil.rmtree(root / "val" / "n01"), ("train has 3 classes and val 2", "in train alone: n01")),
    (lambda root: [shutil.rmtree(root / part / name) for part in ("train", "val") for name in ("n01", "n02")],
     ("single class n00", "two or more")),
    (lambda root: [file.unlink() for file in (root / "train").glob("*/[1-9]*")],
     ("a batch needs 8 images", "has 3 to train on", "lower batch_size")),
    (lambda root: (root / "val" / "n02" / "0.png").write_bytes(b"x"), (r"cannot read the image \S+n02/0\.png",)),
])
def test_bad_folders_are_refused(damage, parts: tuple[str, ...], tmp_path: Path) -> None:
    root = write_classes(tmp_path / "images")
    damage(root)
    outcome = invoke("pretrain", *PRETRAIN, f"data.root={root}", f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, "DataError: ", *parts)
    assert_nothing_half_written(tmp_path / "run")


@pytest.mark.parametrize(("override", "parts"), [
    ("genotype=resnet/resnet19", ("no published genotype", "resnet/resnet18")),
    ("network.depth=19", (r"network\.depth=19 is unknown",)),
    ("augment.blur={p: 1}", ("blur", "crop.*flip")),
    ("crop.scale=[1,0.5]", (r"crop\.scale=\[1\.0, 0\.5\] must be two positive numbers", "at most 1")),
    ("crop.centre=0", (r"crop\.centre=0\.0 must lie in \(0, 1\]",)),
    ("batch_size=1", ("batch_size=1 must be at least 2",)),
    ("objective.triplet={weight: 1, margin: 0.3}", ("objective.triplet=.* compares images of one batch",)),
    ("data.workers=0", (r"data\.workers=0 must be at least 1",)),
    ("data.synthetic.hats=3", ("no factor hats",)),
    ("device=tpu9", ("device='tpu9'",)),
])
def test_mistakes_show_before_any_data_are_touched(override: str, parts: tuple[str, ...], no_data: Path,
                                                   tmp_path: Path) -> None:
    outcome = invoke("pretrain", *PRETRAIN, override, f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, "(Config|Genotype)Error: ", *parts)
    assert not no_data.exists()
    assert_nothing_half_written(tmp_path / "run")
