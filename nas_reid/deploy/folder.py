"""The folder that an export leaves: files that belong together, and ``model.json``, which says so and explains them.

``model.json`` is written last and names every other file with its SHA-256, so that a folder whose parts come from
different exports, or of which one was damaged, is refused. The model card is for people, who may edit it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_reid.errors import CheckpointError, ExportError
from nas_reid.files import write_atomically
from nas_reid.files.regular import read_regular

FORMAT_VERSION = 1
CONTRACT, CARD = "model.json", "README.md"


def write_folder(folder: Path, parts: Mapping[str, bytes], contract: Mapping[str, Any], card: str) -> dict[str, Any]:
    """Write the parts, the card, and last the contract, which gets ``format_version`` and ``files``.

    Args:
        folder: is there; files of these names are replaced.
        parts: name -> bytes.
        contract: plain data.
        card: text of the model card.

    Returns:
        What ``model.json`` holds.

    Raises:
        ExportError: the folder cannot be written; it then has no ``model.json``.
    """
    files = {name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
             for name, content in parts.items()}
    whole = {"format_version": FORMAT_VERSION, **contract, "files": files}
    try:
        (folder / CONTRACT).unlink(missing_ok=True)
        for name, content in parts.items():
            write_atomically(folder / name, content)
        write_atomically(folder / CARD, card.encode())
        write_atomically(folder / CONTRACT, (json.dumps(whole, indent=2) + "\n").encode())
    except OSError as error:
        raise ExportError(f"cannot write {error.filename or folder}: {error.strerror}; choose another folder with "
                          "hydra.run.dir=") from None
    return whole


def read_folder(folder: Path) -> dict[str, Any]:
    """The contract of an exported folder, once every file that it names was found to be the one that was written.

    Files of versions before 0.1.0 name none, and are taken as they are.

    Raises:
        CheckpointError: no ``model.json``, one of a newer version, or a part that is missing or another one.
    """
    path = folder / CONTRACT
    try:
        contract = json.loads(read_regular(path))
        if not isinstance(contract, dict):
            raise ValueError(f"it holds a {type(contract).__name__}")
        files = {str(name): str(part["sha256"]) for name, part in contract.get("files", {}).items()}
        version = contract.get("format_version", 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read ({type(error).__name__}: {error}); expected the model.json that "
                              "nas_reid.export writes beside a model: export it again") from None
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CheckpointError(f"{path} has format_version {version}, newer than {FORMAT_VERSION}, the newest that this "
                              "nas_reid reads: update nas_reid")
    for name, expected in files.items():
        if Path(name).name != name:
            raise CheckpointError(f"{path} names the file {name!r}, which is not in its folder; export the model again")
        try:
            found = hashlib.sha256(read_regular(folder / name)).hexdigest()
        except OSError as error:
            raise CheckpointError(f"{folder} lacks {name}, which its model.json names ({error.strerror or error}); "
                                  "copy the whole folder, or export the model again") from None
        if found != expected:
            raise CheckpointError(f"{folder / name} has SHA-256 {found[:12]}…, and model.json expects {expected[:12]}…"
                                  ": the two are of different exports, or the file is damaged. Copy the whole folder "
                                  "again, or export the model again")
    return contract


def part_of(contract: Mapping[str, Any], suffix: str) -> str | None:
    """Name of the file with this suffix that a contract lists, if there is one."""
    names = contract.get("files") or [str(contract.get("file", "model.onnx"))]  # of older versions
    return next((name for name in names if name.endswith(suffix)), None)
