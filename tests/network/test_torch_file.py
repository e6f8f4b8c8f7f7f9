"""Files of torch are read as data, and what they hold instead is named in our own words."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nas_reid.errors import CheckpointError
from nas_reid.network.checkpoint import load_checkpoint
from nas_reid.network.torch_file import is_safetensors
from nas_reid.network.weights import read_state


@pytest.mark.parametrize("number", [np.float64(0.875), np.float32(0.5), np.float16(2), np.int64(-7), np.int32(7),
                                    np.int16(-1), np.uint8(200), np.bool_(True), np.bool_(False), np.longdouble(1.5),
                                    np.complex64(1j)])
def test_numpy_numbers_beside_the_weights_are_admitted(number: np.generic, tmp_path: Path) -> None:
    torch.save({"format_version": 1, "epoch": number, "state_dict": {"a": torch.ones(2)}}, tmp_path / "a.pth")
    assert read_state(tmp_path / "a.pth")["a"].tolist() == [1, 1]
    epoch = load_checkpoint(tmp_path / "a.pth")["epoch"]
    assert epoch == number and epoch.dtype == number.dtype


def lfs(path: Path) -> None:
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9437184\n")


def page(path: Path) -> None:
    path.write_text("\n<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>")


def script(path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(path))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("write", "message"), [
    (lfs, "is a pointer of Git LFS in place of the file; fetch the file itself"),
    (page, "is a web page, not what the page offers; download the file itself"),
    (script, "is a TorchScript archive, which is code; give the checkpoint that it was exported from"),
    (lambda path: torch.save({"state_dict": {"a": torch.ones(1)}, "args": argparse.Namespace(lr=1)}, path),
     "holds the object argparse.Namespace, which only executing code could read, and that is never done"),
    (lambda path: torch.save(torch.nn.Linear(1, 1), path), r"holds the object torch\.nn\.\S+\.Linear, which"),
    (lambda path: torch.save({"a": np.ones(3)}, path), r"holds the object numpy\.\S+\._reconstruct, which"),
    (lambda path: path.write_text("rank1 0.9"), "breaks off or is no file of torch"),
    (lambda path: path.write_bytes(b""), "breaks off or is no file of torch"),
    (lambda path: path.mkdir(), "is a folder, not a regular file"),
    (lambda path: path.symlink_to("/dev/zero"), "is a device, not a regular file"),
])
def test_other_files_are_named(write: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    write(tmp_path / "best.pt")
    for read, kind in ((read_state, "a file of weights:"), (load_checkpoint, "a checkpoint of nas_reid, or is .*:")):
        with pytest.raises(CheckpointError, match=rf"best\.pt (is not {kind}|holds no weights:) it {message}") as error:
            read(tmp_path / "best.pt")
        assert not any(advice in str(error.value) for advice in ("weights_only", "safe_globals", "trust", "unsafe"))


def test_safetensors_are_weights_under_any_name_and_no_checkpoint(tmp_path: Path) -> None:
    save_file({"module.a": torch.ones(2)}, tmp_path / "weights.pth")
    assert is_safetensors(tmp_path / "weights.pth") and read_state(tmp_path / "weights.pth")["a"].tolist() == [1, 1]
    with pytest.raises(CheckpointError, match="it is a safetensors file; such files are for weights= and pretrained="):
        load_checkpoint(tmp_path / "weights.pth")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "weights.pth").read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="not a file of weights: it is a damaged safetensors file"):
        read_state(tmp_path / "cut.safetensors")


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_wrappers_add_to_names_is_taken_off(prefix: str, tmp_path: Path) -> None:
    torch.save({f"{prefix}trunk._orig_mod.module.a": torch.ones(1)}, tmp_path / "a.pth")
    assert list(read_state(tmp_path / "a.pth")) == ["trunk.module.a"]


@pytest.mark.parametrize(("content", "message"), [
    ({0: torch.ones(1), "a": torch.ones(1)}, "holds 1 tensors that are not named but filed under such as 0"),
    ({"state_dict": {3: torch.ones(1)}}, "filed under such as 3; expected the names of weights"),
    ({"a": torch.ones(1), "b": torch.tensor([1.0, float("nan")])}, "1 of 2 weights are NaN or infinite, such as b"),
])
def test_what_is_no_state_dict_is_refused(content: dict, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message):
        read_state(tmp_path / "a.pth")


def test_a_changed_byte_is_noticed_by_its_checksum(tmp_path: Path) -> None:
    weight = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    torch.save({"format_version": 1, "weights": {"a": weight}}, tmp_path / "best.pt")
    assert torch.equal(read_state(tmp_path / "best.pt")["a"], weight)
    content = bytearray((tmp_path / "best.pt").read_bytes())
    content[content.index(weight.numpy().tobytes()) + 100] ^= 1
    (tmp_path / "best.pt").write_bytes(content)
    for read in (read_state, load_checkpoint):
        with pytest.raises(CheckpointError, match=r"it is damaged: the checksum of \w+/data/0 in it is another"):
            read(tmp_path / "best.pt")
