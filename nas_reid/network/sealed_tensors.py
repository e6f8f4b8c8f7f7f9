"""safetensors with a digest of what is in them: a file of ours whose bytes changed is told from a sound one."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from nas_reid.files import write_atomically

_SEAL = "nas_reid_sha256"


def write_sealed(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata as safetensors, with their digest among the metadata.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    write_atomically(path, sealed(tensors, metadata))


def sealed(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes that ``write_sealed`` writes."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return save(whole, metadata={**metadata, _SEAL: _digest(whole, metadata)})


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, whoever wrote it, on the CPU.

    Raises:
        ValueError: it carries a digest, and its content is another.
        SafetensorError, OSError: it is no such file, or cannot be read.
    """
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
    seal = metadata.pop(_SEAL, None)
    if seal is not None and seal != _digest(tensors, metadata):
        raise ValueError("is damaged: its content is not what was written (its checksum differs); copy or make it "
                         "again")
    return tensors


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Of names, shapes, types and bytes, whatever their order in the file."""
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
