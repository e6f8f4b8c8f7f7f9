"""Whether a run that is found in a folder is the one that is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_reid.errors import CheckpointError
from nas_reid.parallel.processes import world

# What may change between two parts of one run without changing its result, as ``differing_keys`` begins its lines.
_FREE_KEYS = ("resume:", "wandb.", "data.workers:", "data.cache:", "false_positive_rate:", "deterministic:")
_KEPT = "threads:"  # changes sums in their last bits: a run goes on with what it began with


def require_same_config(path: Path, saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Refuse to continue a run under another configuration.

    With ``resume: extend`` more epochs than before are no other configuration, where nothing depends on their number.

    Raises:
        CheckpointError: lists every key that differs and matters for the result.
    """
    changes = [change for change in changes_that_matter(saved, current) if not change.startswith(_KEPT)]
    longer = [change.startswith("epochs:") for change in changes] == [True] and current["epochs"] > saved["epochs"]
    reasons = reasons_against_extension(current) if longer else []
    if longer and not reasons and current["resume"] == "extend":
        return
    if changes:
        way_out = ""
        if reasons:
            way_out = f" More epochs make it another training from its first step: {'; '.join(reasons)}."
        elif longer:
            way_out = " To train on to the end of more epochs: resume=extend."
        raise CheckpointError(f"{path} belongs to another configuration: {'; '.join(changes)}.{way_out} Use the saved "
                              "values, resume=never, or another output folder (hydra.run.dir=)")


def reasons_against_extension(config: Mapping[str, Any]) -> list[str]:
    """The settings of a training under which its first epochs depend on how many there are; empty: it can be longer.

    Args:
        config: of a search, a retraining or a pre-training, as plain data.
    """
    rates = {name: config[name]["schedule"] for name in ("weights", "alphas", "optimizer")
             if isinstance(config.get(name), Mapping)}  # of a retraining, weights is a file
    found = [f"{name}.schedule={schedule} ends with the last epoch" for name, schedule in rates.items()
             if schedule not in ("constant", "multi_step")]
    if config.get("drop_path"):
        found.append("drop_path grows until the last epoch")
    algorithm = config.get("algorithm") or {}
    temperature = algorithm.get("temperature") or {}
    if temperature.get("schedule") in ("linear", "exponential") and temperature["start"] != temperature["end"]:
        found.append(f"algorithm.temperature.schedule={temperature['schedule']} ends with the last epoch")
    if algorithm.get("perturbation", "none") != "none" and len(set(algorithm["perturbation_size"])) > 1:
        found.append("algorithm.perturbation_size grows until the last epoch")
    found += [f"algorithm.regularisers.{name}={weight} goes from one weight to another"
              for name, weight in (algorithm.get("regularisers") or {}).items() if isinstance(weight, list)]
    return found


def other_processes(processes: int, config: Mapping[str, Any]) -> str | None:
    """What to say of a run that goes on in another number of processes than it began with; None: nothing.

    Args:
        processes: that it began with.
        config: of a search, a retraining or a pre-training, as plain data.
    """
    if processes == world():
        return None
    told = f"the run goes on in {world()} processes and began with {processes}: "
    if not config["sync_norms"]:
        return f"{told}with sync_norms=false it is another training from here on"
    return f"{told}it is the same training, up to the order of sums"


def changes_that_matter(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Those of ``differing_keys`` on which a result may depend."""
    return [change for change in differing_keys(saved, current) if not change.startswith(_FREE_KEYS)]


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
