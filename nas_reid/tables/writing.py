"""Adding lines to a table, one at a time, by any number of processes."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_reid.files.lock import holding
from nas_reid.tables.table import Line, Table, TableError

# What does not decide the result of a training, or is a line's own.
_NOT_OF_THE_RECIPE = ("genotype", "seed", "wandb", "threads", "device", "resume", "false_positive_rate")
_NOT_OF_THE_DATA = ("cache", "workers", "root")


def recipe_digest(config: Mapping[str, Any]) -> str:
    """Twelve characters that are equal for configurations of ``nas_reid.retrain`` which train alike.

    Genotype and seed, and what changes no result (where the cache is, how many threads), do not count; nor does what
    is null or false, so that a table can be continued when options have been added since.
    """
    kept = {key: value for key, value in config.items() if key not in _NOT_OF_THE_RECIPE}
    kept["data"] = {key: value for key, value in config["data"].items() if key not in _NOT_OF_THE_DATA}
    return hashlib.sha256(json.dumps(_without_unset(kept), sort_keys=True).encode()).hexdigest()[:12]


def lines_of(path: Path, *, recipe: str) -> list[Line]:
    """The lines of a table that is to be continued; none where there is no file.

    Raises:
        TableError: it was made under another recipe.
    """
    if not path.exists() or not path.stat().st_size:
        return []
    table = Table(path)
    if table.recipe != recipe:
        raise TableError(f"{path} was made under the recipe {table.recipe}, this one is {recipe}: their numbers cannot "
                         "be compared. Give another file with table=, or the recipe it was made under with recipe=")
    return table.lines


def append(path: Path, line: Line) -> None:
    """Add a line; what a kill left of one before it is cut off.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    with holding(path.with_name(f".{path.name}.lock"), wait=lambda _: None), path.open("ab+") as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        file.write(f"{line.to_json()}\n".encode())


def _without_unset(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_unset(each) for key, each in value.items() if each is not None and each is not False}
    return value
