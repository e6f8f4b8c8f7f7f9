"""Whether a run that is found in a folder is the one that is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_reid.errors import CheckpointError

# What may change between two parts of one run without changing its result, as ``differing_keys`` begins its lines.
_FREE_KEYS = ("resume:", "wandb.", "experiment:", "threads:", "data.workers:", "data.cache:")


def require_same_config(path: Path, saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Refuse to continue a run under another configuration.

    Raises:
        CheckpointError: lists every key that differs and matters for the result.
    """
    changes = [change for change in differing_keys(saved, current) if not change.startswith(_FREE_KEYS)]
    if changes:
        raise CheckpointError(f"{path} belongs to another configuration: {'; '.join(changes)}. Use the saved values, "
                              "resume=never, or another output folder (hydra.run.dir=)")


def differing_keys(saved: Mapping[str, Any], current: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ, as ``key: saved -> current``."""
    changes = []
    for key in sorted(set(saved) | set(current)):
        old, new = saved.get(key), current.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += differing_keys(old, new, f"{prefix}{key}.")
        elif old != new:
            changes.append(f"{prefix}{key}: {old} -> {new}")
    return changes
