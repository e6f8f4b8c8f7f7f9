"""Everything needed to continue a run bit for bit, in one file that loading never executes."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nas_reid.errors import CheckpointError
from nas_reid.files import write_atomically
from nas_reid.files.of_run import CHECKPOINTS
from nas_reid.files.regular import NotARegularFile
from nas_reid.network.torch_file import read_torch_file

FORMAT_VERSION = 1


def save_checkpoint(path: Path, state: Mapping[str, Any], *, config: Mapping[str, Any]) -> None:
    """Write ``state`` (tensors and plain containers only) atomically; the previous file stays until it is complete.

    Raises:
        CheckpointError: the folder cannot be written or the disk is full.
    """
    buffer = io.BytesIO()
    torch.save({"format_version": FORMAT_VERSION, "config": dict(config), **state}, buffer)
    try:
        write_atomically(path, buffer.getbuffer())
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}; the last complete checkpoint is kept. Free some "
                              "space or choose another folder with hydra.run.dir=, then repeat the command") from error


def load_checkpoint(path: Path, *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint with ``weights_only=True``.

    Raises:
        CheckpointError: no such file, not a regular one, not one of ours, of a newer format, or with other bytes than
            were written.
    """
    if path.is_dir():
        what = (f"has none of {', '.join(CHECKPOINTS)}, nor the model.json of an exported one"
                if not (path / "model.json").is_file() else
                "is an exported one, which find and extract read; give the checkpoint that it was exported from")
        raise CheckpointError(f"{path} is not a checkpoint of nas_reid, or is none yet: it is a folder, not a regular "
                              f"file, and {what}")
    try:
        state = read_torch_file(path, device=device)
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {path.resolve()}; expected checkpoints/last.pt or "
                              "checkpoints/best.pt of a run folder") from None
    except (ValueError, NotARegularFile) as error:
        reason = str(error) if isinstance(error, NotARegularFile) else f"it {error}"
        raise CheckpointError(f"{path} is not a checkpoint of nas_reid, or is damaged: {reason}. Expected "
                              "checkpoints/last.pt or checkpoints/best.pt of a run folder") from error
    if not isinstance(state, dict) or "format_version" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of nas_reid: it has no format_version")
    if isinstance(state["format_version"], int) and (state["format_version"] is True or state["format_version"] < 1):
        raise CheckpointError(f"{path} has format_version {state['format_version']}; versions are counted from 1")
    if not isinstance(state["format_version"], int) or state["format_version"] > FORMAT_VERSION:
        raise CheckpointError(f"{path} has format_version {state['format_version']}, newer than {FORMAT_VERSION}, the "
                              "newest that this nas_reid reads: update nas_reid")
    return state
