"""Reading files of torch as data: numbers, text, containers and tensors, and never an object that is code."""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_reid.files.kinds import HEAD, pointer_or_page
from nas_reid.files.regular import NotARegularFile, open_regular, require_regular

# Other projects keep their rank-1 or their epoch as a NumPy scalar, which plain weights_only loading refuses. A scalar
# is a dtype and its bytes: building one executes nothing of the file. NumPy 1 and 2 name the function differently.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_SCALARS: list[Any] = [(_SCALAR, "numpy.core.multiarray.scalar"), (_SCALAR, "numpy._core.multiarray.scalar"),
                             np.dtype,  # and booleans and numbers of every width
                             *{type(np.dtype(code)) for code in "?bBhHiIlLqQefdgFDG"}]
_REFUSED = re.compile(r"GLOBAL ([\w.]+)|<class '([\w.]+)'>|function ([\w.<> ]+)")


class _Damaged(Exception):
    """Bytes of a file have changed."""


def read_torch_file(path: Path, *, device: torch.device | str = "cpu") -> Any:
    """What ``torch.save`` wrote, read with ``weights_only=True``; NumPy's booleans and numbers are admitted.

    Args:
        path: the file.
        device: where its tensors go.

    Raises:
        FileNotFoundError, NotARegularFile: there is none.
        ValueError: it is another kind of file, is damaged, or holds an object that is neither a number, text, container
            nor tensor; the message says which, in words that follow "it".
    """
    try:
        require_regular(path)
        if (part := _damaged_part(path)) is not None:
            raise _Damaged(f"is damaged: the checksum of {part} in it is another")
        with torch.serialization.safe_globals(_NUMPY_SCALARS):
            return torch.load(path, map_location=device, weights_only=True)
    except (FileNotFoundError, NotARegularFile):
        raise
    except _Damaged as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # what is no such file can make the unpickler raise anything
        raise ValueError(_reason(path, error)) from None  # torch's words would be read in a traceback


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do, whatever its name: the length of a header, then its JSON."""
    try:
        head = _head(path)
        return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8
    except OSError:
        return False


def _damaged_part(path: Path) -> str | None:
    """Name of the first part whose bytes are not those that were written, by the checksums that torch writes."""
    try:
        if not zipfile.is_zipfile(path):
            return None  # of another format, or broken off: torch will say it
        with zipfile.ZipFile(path) as parts:
            return parts.testzip()
    except Exception:  # the archive's own account of its parts is damaged, which torch need not notice
        return "the table of contents"


def _reason(path: Path, error: Exception) -> str:
    """Why a file cannot be read; never in the words of torch, which explain how to execute it."""
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or error})"
    head = _head(path)
    if reason := pointer_or_page(head):
        return reason
    if is_safetensors(path):
        return "is a safetensors file; such files are for weights= and pretrained="
    if any(name.endswith("/constants.pkl") for name in _parts(path)):
        return "is a TorchScript archive, which is code; give the checkpoint that it was exported from"
    if isinstance(error, pickle.UnpicklingError) and (match := _REFUSED.search(str(error))):
        name = next(group for group in match.groups() if group).strip()
        return (f"holds the object {name}, which only executing code could read, and that is never done. Save its "
                "tensors alone (a state dict) where the file comes from")
    return f"breaks off or is no file of torch ({type(error).__name__} while reading it)"


def _parts(path: Path) -> list[str]:
    """Names inside an archive; none where it is damaged, or no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception:  # what is damaged can make the reader raise anything
        return []


def _head(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read(HEAD)
