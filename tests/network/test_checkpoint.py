"""Checkpoints: complete or absent, and never executed."""

import os
import random
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nas_reid.errors import CheckpointError
from nas_reid.network.checkpoint import FORMAT_VERSION, load_checkpoint, save_checkpoint

CONFIG = {"seed": 0, "data": {"workers": 2, "root": None, "image_size": [128, 64]}, "wandb": {"mode": "offline"},
          "resume": "auto", "threads": None}


class Intruder:
    """Runs a command wherever its pickle is loaded without care."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def test_round_trip_of_tensors_and_containers(tmp_path: Path) -> None:
    weight = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = {"epoch": 3, "weights": {"a": weight}, "history": [{"normal": torch.eye(2)}], "validation": {"mAP": 0.5}}
    save_checkpoint(tmp_path / "checkpoints" / "last.pt", state, config=CONFIG)
    loaded = load_checkpoint(tmp_path / "checkpoints" / "last.pt")
    assert loaded["format_version"] == FORMAT_VERSION and loaded["config"] == CONFIG
    assert loaded["epoch"] == 3 and loaded["validation"] == {"mAP": 0.5}
    assert torch.equal(loaded["weights"]["a"], weight) and loaded["weights"]["a"].dtype == torch.float64
    assert torch.equal(loaded["history"][0]["normal"], torch.eye(2))


def test_an_optimizer_survives(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones(2)
    optimizer.step()
    save_checkpoint(tmp_path / "last.pt", {"optimizer": optimizer.state_dict()}, config={})
    other = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
    other.load_state_dict(load_checkpoint(tmp_path / "last.pt")["optimizer"])
    assert torch.equal(other.state_dict()["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])


def test_a_full_disk_keeps_the_last_complete_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "last.pt"
    save_checkpoint(path, {"epoch": 1}, config=CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"cannot write .*last\.pt: No space left on device; the last "
                                                  r"complete checkpoint is kept\..*hydra\.run\.dir="):
            save_checkpoint(path, {"epoch": 2}, config=CONFIG)
    assert load_checkpoint(path)["epoch"] == 1
    assert os.listdir(tmp_path) == ["last.pt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(CheckpointError, match="Permission denied"):
        save_checkpoint(tmp_path / "last.pt", {}, config=CONFIG)


def test_foreign_pickles_are_refused_and_not_executed(tmp_path: Path) -> None:
    path, trace = tmp_path / "gift.pt", tmp_path / "trace"
    torch.save({"format_version": 1, "config": {}, "weights": Intruder(f"touch {trace}")}, path)
    with pytest.raises(CheckpointError, match=r"gift\.pt is not a checkpoint of nas_reid, or is damaged: it "
                                              r"holds the object posix\.system, which only executing code"):
        load_checkpoint(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # the intruder works: it is the loading that is careful


def test_a_missing_file_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=rf"no checkpoint at {tmp_path}/run/best\.pt; expected checkpoints/last"):
        load_checkpoint(Path("run/best.pt"))


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whatever_the_bytes_there_is_one_kind_of_error(tmp_path: Path) -> None:
    path, rng = tmp_path / "last.pt", random.Random(0)
    save_checkpoint(path, {"epoch": 1, "weights": torch.ones(4)}, config=CONFIG)
    good = path.read_bytes()
    damaged = [b"", b"hello", good[:-1], good[1:], *(good[:length] for length in range(1, len(good), 97)),
               *(rng.randbytes(rng.randint(1, 99)) for _ in range(150))]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is not a checkpoint of nas_reid"):
            load_checkpoint(path)


def test_tensors_of_somebody_else_are_not_ours(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "resnet.pt")
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("resnet.pt", "model.safetensors", "list.pt"):
        with pytest.raises(CheckpointError, match=f"{name} is not a checkpoint of nas_reid"):
            load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, "two"])
def test_a_newer_format_asks_for_an_update(tmp_path: Path, version: object) -> None:
    torch.save({"format_version": version, "config": {}}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=f"format_version {version}, newer than {FORMAT_VERSION}.*: update"):
        load_checkpoint(tmp_path / "last.pt")


@pytest.mark.parametrize("version", [0, -3, True])
def test_formats_are_counted_from_1(tmp_path: Path, version: object) -> None:
    torch.save({"format_version": version, "config": {}}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=f"format_version {version}; versions are counted from 1"):
        load_checkpoint(tmp_path / "last.pt")


def test_a_pipe_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt is not a checkpoint.*it is a pipe \(FIFO\), not a regular"):
        load_checkpoint(tmp_path / "last.pt")


def test_changed_bytes_are_noticed_or_without_effect(tmp_path: Path) -> None:
    """Four bytes at a time, anywhere: nothing but what was written is ever read."""
    path, weight = tmp_path / "best.pt", torch.arange(300.0)
    save_checkpoint(path, {"weights": {"a": weight, "b": weight[:7].clone()}, "epoch": 3}, config=CONFIG)
    good, draws, noticed = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        start = draws.randrange(len(good) - 4)
        path.write_bytes(good[:start] + draws.randbytes(4) + good[start + 4:])
        try:
            loaded = load_checkpoint(path)
        except CheckpointError:
            noticed += 1
        else:
            assert (loaded["epoch"], loaded["config"]) == (3, CONFIG)
            assert torch.equal(loaded["weights"]["a"], weight) and torch.equal(loaded["weights"]["b"], weight[:7])
    assert noticed > 150


def test_a_changed_weight_is_named_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    save_checkpoint(path, {"weights": {"a": torch.full((100,), 0.1)}}, config=CONFIG)
    content, before, after = path.read_bytes(), *(torch.full((100,), value).numpy().tobytes() for value in (0.1, 0.2))
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, after))
    with pytest.raises(CheckpointError, match=r"best\.pt .*is damaged: the checksum of \S+ in it is another"):
        load_checkpoint(path)


def test_a_tensor_under_two_names_is_stored_once(tmp_path: Path) -> None:
    """As the weights of a run are: those to evaluate are those that are trained, unless an average is kept."""
    network = torch.nn.Linear(500, 100)
    state = {"weights": network.state_dict()}
    save_checkpoint(tmp_path / "one.pt", state, config=CONFIG)
    save_checkpoint(tmp_path / "two.pt", state | {"training": {"network": network.state_dict()}}, config=CONFIG)
    assert (tmp_path / "two.pt").stat().st_size < (tmp_path / "one.pt").stat().st_size + 1_000


def test_a_folder_that_holds_none_is_told_from_an_exported_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is a folder, .* none of checkpoints/best\.pt, .* nor the model\.json"):
        load_checkpoint(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"is an exported one, which find and extract read; give the checkpoint"):
        load_checkpoint(tmp_path)
