"""A student that learns from checkpoints: what is recorded, what is refused, and that it continues bit for bit."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import nas_reid.training.epoch
from nas_reid.network.model import ReIDNetwork
from tests.cli.commands import RETRAIN, Outcome, invoke
from tests.cli.refusals import assert_nothing_half_written, assert_refused
from tests.cli.test_resume import Stopped, assert_same_run, metrics, stop_at

pytestmark = pytest.mark.usefixtures("no_pictures")
Ran = tuple[Path, Outcome]
STUDENT = (*RETRAIN, "genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]",
           "distillation.l1={weight: 0.1}", "distillation.pkt={weight: 0.5}")


def teacher_of(retrained: Ran) -> Path:
    return retrained[0] / "checkpoints" / "best.pt"


def note_formats(patch: pytest.MonkeyPatch) -> set[tuple[bool, torch.dtype]]:
    """Fills while networks run: whether the network is trained, and the format of its trunk's maps."""
    seen, run = set(), ReIDNetwork._maps

    def noted(network: ReIDNetwork, *arguments: Any) -> Any:
        hook = network.trunk.register_forward_hook(lambda _, __, maps: seen.add((network.training, maps.dtype)))
        try:
            return run(network, *arguments)
        finally:
            hook.remove()

    patch.setattr(ReIDNetwork, "_maps", noted)
    return seen


def test_a_student_records_its_teachers_and_continues_bit_for_bit(retrained: Ran, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    own = shutil.copy(teacher_of(retrained), tmp_path / "teacher.pt")
    student = (*STUDENT, f"teacher=[{own},{teacher_of(retrained)}]", "precision=bfloat16")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    with monkeypatch.context() as patch:
        formats = note_formats(patch)
        assert invoke("retrain", *student, f"hydra.run.dir={whole}").code == 0
    assert formats == {(True, torch.bfloat16), (False, torch.float32)}  # teachers, validation and test
    record, = (each for each in metrics(whole) if each["epoch"] == 2)
    assert record.keys() >= {"retrain/loss_teacher_kl", "retrain/loss_teacher_l1", "retrain/loss_teacher_pkt"}
    taught = json.loads((whole / "result.json").read_text())["teachers"]
    assert [each["checkpoint"] for each in taught] == [str(own), str(teacher_of(retrained))]
    assert taught[0]["blake2b"] == taught[1]["blake2b"] and taught[0]["data"] == "synthetic"
    assert taught[0]["image_size"] == [32, 16] and taught[0]["space"] == "auto_reid" and taught[0]["validation"]

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, nas_reid.training.epoch, "set_lr", call=12)
        invoke("retrain", *student, f"hydra.run.dir={stopped}")
    assert invoke("retrain", *student, f"hydra.run.dir={stopped}").code == 0
    assert_same_run(whole, stopped)


def test_a_teacher_that_changed_in_between_is_refused(retrained: Ran, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    own = shutil.copy(teacher_of(retrained), tmp_path / "teacher.pt")
    student = (*STUDENT, f"teacher={own}", f"hydra.run.dir={tmp_path / 'run'}")
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, nas_reid.training.epoch, "set_lr", call=12)
        invoke("retrain", *student)
    shutil.copy(retrained[0] / "checkpoints" / "last.pt", own)
    assert_refused(invoke("retrain", *student), r"teacher .*teacher\.pt is no longer the file", "resume=never")


@pytest.mark.parametrize(("changes", "parts"), [
    (("data.image_size=[64,32]",), (r"was trained on images of \[32,16\] and the student's are \[64,32\]",
                                    r"set data\.image_size=\[32,16\], or teacher_resize=true")),
    (("distillation.js={}",), (r"distillation\.js is no loss; known are: l1, kl, pkt",)),
])
def test_what_cannot_teach_is_refused_before_the_data(changes: tuple[str, ...], parts: tuple[str, ...], retrained: Ran,
                                                      tmp_path: Path, no_data: Path) -> None:
    outcome = invoke("retrain", *STUDENT, f"teacher={teacher_of(retrained)}", *changes, f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, *parts)
    assert_nothing_half_written(tmp_path)
    assert not no_data.exists()


@pytest.mark.parametrize(("teacher", "message"), [
    ("nowhere.pt", "no checkpoint at .*nowhere.pt"), ("{a: b}", "teacher=.*: expected a checkpoint of a retraining")])
def test_files_that_are_no_teachers(teacher: str, message: str, tmp_path: Path, no_data: Path) -> None:
    assert_refused(invoke("retrain", *STUDENT, f"teacher={teacher}", f"hydra.run.dir={tmp_path}"), message)


def test_other_identities_teach_features_alone(retrained: Ran, tmp_path: Path) -> None:
    student = (*STUDENT, "epochs=1", "optimizer.warmup_epochs=0", f"teacher={teacher_of(retrained)}")
    for change, message in (("seed=1", "was trained on 8 other identities than the student"),
                            ("validation_fraction=0.4", "tells 8 identities apart and the student 6")):
        refused = invoke("retrain", *student, change, f"hydra.run.dir={tmp_path / 'refused'}")
        assert_refused(refused, message, "distillation.kl and distillation.l1 compare classifiers", "distillation.pkt=")
        assert_nothing_half_written(tmp_path / "refused")
    features = invoke("retrain", *student, "seed=1", "distillation.kl=null", "distillation.l1=null",
                      "data.image_size=[48,24]", "teacher_resize=true", f"hydra.run.dir={tmp_path / 'features'}")
    assert features.code == 0, features.err
    assert [name for name in metrics(tmp_path / "features")[0] if "teacher" in name] == ["retrain/loss_teacher_pkt"]
