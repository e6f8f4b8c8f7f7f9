"""safetensors whose bytes changed are told, wherever the change is."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nas_reid.errors import CheckpointError
from nas_reid.network.sealed_tensors import read_tensors, write_sealed
from nas_reid.network.weights import read_state

TENSORS = {"b": torch.arange(6.0).view(2, 3).mT, "a": torch.tensor(3), "none": torch.zeros(0, 2),
           "half": torch.ones(2, dtype=torch.bfloat16)}


def test_what_is_written_is_read_by_us_and_by_others(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_sealed(path, TENSORS, {"nas_reid": "{}"})
    for found in (read_tensors(path), load_file(path)):
        assert {name: (tensor.dtype, tensor.tolist()) for name, tensor in found.items()} == {
            name: (tensor.dtype, tensor.tolist()) for name, tensor in TENSORS.items()}


def test_every_changed_byte_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_sealed(path, TENSORS, {"nas_reid": json.dumps({"classes": 7})})
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(header, len(whole)), whole.index(b"7}"), whole.index(b'"half"') + 1, whole.index(b"sha256") + 12]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
        with pytest.raises(CheckpointError, match="damaged"):
            read_state(path)


def test_files_of_others_carry_no_digest_and_are_read(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "theirs.safetensors")
    assert read_state(tmp_path / "theirs.safetensors")["a"].tolist() == [1, 1]
