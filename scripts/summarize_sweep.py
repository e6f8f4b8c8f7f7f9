"""Summary of a sweep: mean ± std over the seeds, what is missing, and the best genotype.

    python scripts/summarize_sweep.py multirun/search/auto_reid/2026-01-31_12-00-00
    python scripts/summarize_sweep.py <folder> --metric rank1 --json

Runs that differ in nothing but the seed (and in settings without influence on the result, such as the device)
form a group; so do the splits of a data set and the directions between two cameras, over which protocols average.
A file of another run (genotype=, weights=, pretrained=, teacher=) stands for that run's settings: retrainings of what
several seeds of one search found are one group. Searches and retrainings are never ranked in one list: the validation
of a supernet says nothing about a trained network.
Unseen targets have a column each, and so have the settings of a protocol with several (trials). The best genotype is
the one with the highest *validation* metric: choosing by the test gallery or by a target would make every number
reported on it too good. The standard deviation is that of a sample (n - 1).
Exit code 2: the folder does not exist or holds no run.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nas_reid.run.command_line import next_command
from nas_reid.run.invocation import Invocation

# Settings that may differ between two runs of the same experiment.
IGNORED = ("seed", "device", "threads", "resume", "wandb", "data.workers", "data.cache",
           "data.options.split", "data.options.direction")
FILES_OF_RUNS = ("genotype", "weights", "pretrained", "teacher")
KINDS = {"retrain": "evaluate", "search": "retrain"}
"""Kind of run, the furthest first, and the command that comes next."""


class Origin(NamedTuple):
    """The run that a file comes from, as far as it matters: its kind, and its settings, sorted."""

    kind: str
    settings: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Run:
    """One finished job: its folder, its ``result.json``, and its configuration as dotted keys."""

    folder: Path
    result: dict[str, Any]
    settings: dict[str, str | Origin]


@dataclass
class Sweep:
    """All jobs under a folder; the reason of a failure is the last error line of the job's log."""

    finished: list[Run] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def read_sweep(root: Path) -> Sweep:
    """Find every job under ``root``: a folder with Hydra's record of it, with metrics, or with a result."""
    marks = (path for name in ("result.json", "metrics.jsonl", ".hydra") for path in root.rglob(name))
    sweep = Sweep()
    for folder in sorted({path.parent for path in marks}):
        error = _last_error(folder)
        try:
            result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            settings = _settings(result.get("config") or {})
        except FileNotFoundError:
            if error is None:
                sweep.unfinished.append(folder)
            else:
                sweep.failed[folder] = error
        except (OSError, ValueError, AttributeError) as problem:
            sweep.failed[folder] = f"result.json is unreadable ({problem})"
        else:
            sweep.finished.append(Run(folder, result, settings))
    return sweep


def group_runs(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Label -> runs. The label names the settings in which the groups differ, and nothing else."""
    keys = sorted({key for run in runs for key in run.settings if not _is_ignored(key)})
    differing = [key for key in keys if len({run.settings.get(key) for run in runs}) > 1]
    groups: dict[str, list[Run]] = {}
    for run in runs:
        label = " ".join(f"{key}={_shown(run.settings[key], [other.settings.get(key) for other in runs])}"
                         for key in differing if key in run.settings)
        kind = run.result.get("kind", "?")
        groups.setdefault(f"{kind} {label}".strip(), []).append(run)
    return groups


def validation_value(run: Run, metric: str) -> float | None:
    """The metric on the validation identities; None when the run was not selected on them."""
    selection = run.result.get("selection") or {}
    return selection.get(metric) if selection.get("split") == "validation" else None


def gallery_value(run: Run, metric: str) -> float | None:
    """The metric on query and gallery of the test set; None for a search."""
    return (run.result.get("metrics") or {}).get(metric)


def target_value(run: Run, target: str, metric: str) -> float | None:
    """The metric on a data set that the network was not adapted to; None where it was not evaluated there."""
    return ((run.result.get("targets") or {}).get(target) or {}).get(metric)


def trial_value(run: Run, name: str, metric: str) -> float | None:
    """The metric's mean over the trials of this name on the test set; None where there are none."""
    return ((run.result.get("trials") or {}).get(name) or {}).get(metric)


def summarize(sweep: Sweep, metric: str) -> dict[str, Any]:
    """The whole summary as plain data; metrics are fractions."""
    targets = sorted({name for run in sweep.finished for name in run.result.get("targets") or {}})
    trials = list(dict.fromkeys(name for run in sweep.finished for name in run.result.get("trials") or {}))
    groups = [{"group": label, "seeds": [run.result.get("seed") for run in runs],
               "validation": _spread([validation_value(run, metric) for run in runs]),
               "test": _spread([gallery_value(run, metric) for run in runs]),
               "targets": {name: _spread([target_value(run, name, metric) for run in runs]) for name in targets},
               "trials": {name: _spread([trial_value(run, name, metric) for run in runs]) for name in trials}}
              for label, runs in group_runs(sweep.finished).items()]
    best = {kind: found for kind in KINDS if (found := _best(sweep.finished, kind, metric))}
    return {"metric": metric, "groups": groups, "best": next(iter(best.values()), None), "best_of_kind": best,
            "unfinished": [str(folder) for folder in sweep.unfinished],
            "failed": {str(folder): reason for folder, reason in sweep.failed.items()}}


def _best(runs: Sequence[Run], kind: str, metric: str) -> dict[str, Any] | None:
    """The run of a kind with the best validation metric, and the command that goes on from it."""
    ranked = [(value, run) for run in runs
              if run.result.get("kind") == kind and (value := validation_value(run, metric)) is not None]
    if not ranked:
        return None
    _, run = max(ranked, key=lambda pair: pair[0])
    own = run.folder / "genotype.json"
    genotype = str(own) if own.exists() else run.result.get("genotype")
    arguments: dict[str, dict[str, object]] = {"retrain": {"checkpoint": run.folder / "checkpoints" / "best.pt"},
                                               "search": {"genotype": genotype}}
    data = (run.result.get("config") or {}).get("data") or {}
    command = next_command(_invocation(run.folder, data), KINDS[kind], arguments[kind],
                           data=data if "name" in data else None)
    return {"folder": str(run.folder), "seed": run.result.get("seed"), "validation": validation_value(run, metric),
            "genotype": genotype, "command": command}


def _invocation(folder: Path, data: Mapping[str, Any]) -> Invocation:
    """How a run was called, from what Hydra keeps beside it; as far as it is there."""
    try:
        kept = yaml.safe_load((folder / ".hydra" / "hydra.yaml").read_text(encoding="utf-8"))["hydra"]
        choices, overrides = kept["runtime"]["choices"], kept["overrides"]["task"]
        own = tuple(source["path"] for source in kept["runtime"]["config_sources"]
                    if source["provider"] == "command-line")
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        choices, overrides, own = {"data": data.get("name")}, (), ()
    return Invocation(folder, folder.parent.name, 0, choices.get("data"), tuple(overrides), (), own)


def _settings(config: Mapping[str, Any]) -> dict[str, str | Origin]:
    """Dotted keys; files of other runs as what those runs were."""
    found: dict[str, str | Origin] = dict(_flatten(config))
    return found | {key: origin for key in FILES_OF_RUNS if (origin := _origin(config.get(key))) is not None}


def _origin(path: object) -> Origin | None:
    """The run that left a file; None where it cannot be told."""
    if not isinstance(path, str):
        return None
    for folder in (Path(path), *Path(path).parents[:2]):
        try:
            result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            settings = {key: value for key, value in _settings(result["config"]).items() if not _is_ignored(key)}
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            continue
        return Origin(str(result.get("kind")), tuple(sorted(settings.items())))
    return None


def _shown(value: str | Origin, others: Sequence[str | Origin | None]) -> str:
    """A setting in a label; of an origin, only in what it differs from the other origins."""
    if not isinstance(value, Origin):
        return value
    rest = [dict(other.settings) for other in others if isinstance(other, Origin)]
    own = [f"{key}={_shown(setting, [other.get(key) for other in rest])}" for key, setting in value.settings
           if any(other.get(key) != setting for other in rest)]
    return f"{value.kind}({','.join(own)})" if own else value.kind


def _spread(values: Sequence[float | None]) -> dict[str, float | int | None]:
    known = [value for value in values if value is not None]
    return {"n": len(known), "mean": statistics.fmean(known) if known else None,
            "std": statistics.stdev(known) if len(known) > 1 else None}


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as (dotted key, JSON value) pairs."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def _is_ignored(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in IGNORED)


def _last_error(folder: Path) -> str | None:
    """Message of the last line that Hydra's log format marks as an error."""
    message = None
    for path in sorted(folder.glob("*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if "][ERROR] - " in line:
                message = line.split("][ERROR] - ", 1)[1]
    return message


def _render(summary: Mapping[str, Any]) -> str:
    metric = summary["metric"]
    further = [(kind, name) for kind in ("trials", "targets") for name in (summary["groups"] or [{kind: ()}])[0][kind]]
    rows = [("group", "runs", f"validation {metric}", f"test {metric}", *(f"{name} {metric}" for _, name in further))]
    rows += [(group["group"], str(len(group["seeds"])), _percent(group["validation"]), _percent(group["test"]),
              *(_percent(group[kind][name]) for kind, name in further)) for group in summary["groups"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in
                                                   zip(row[1:], widths[1:], strict=True))]) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    lines += [f"unfinished: {folder}" for folder in summary["unfinished"]]
    lines += [f"failed: {folder}: {reason}" for folder, reason in summary["failed"].items()]
    if not summary["best_of_kind"]:
        lines.append(f"\nNo finished run has a validation {metric}, so none can be called the best.")
    for kind, best in summary["best_of_kind"].items():
        lines += [f"\nbest {kind} by validation {metric}: {best['validation']:.2%}, seed {best['seed']}",
                  *([f"  {best['genotype']}"] if best["genotype"] else []), f"  {best['command']}"]
    return "\n".join(lines)


def _percent(spread: Mapping[str, Any]) -> str:
    if spread["mean"] is None:
        return "–"
    return f"{spread['mean']:.2%}" + (f" ± {spread['std']:.2%}" if spread["std"] is not None else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of a sweep, or any folder with runs below it")
    parser.add_argument("--metric", default="mAP", help="key of the results: mAP (default), rank1, mINP, ...")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        print(f"{options.folder} is not a folder; expected that of a sweep, such as multirun/search/<space>/<time>",
              file=sys.stderr)
        return 2
    sweep = read_sweep(options.folder)
    if not (sweep.finished or sweep.unfinished or sweep.failed):
        print(f"{options.folder} holds no run: found no result.json, metrics.jsonl or .hydra below it", file=sys.stderr)
        return 2
    summary = summarize(sweep, options.metric)
    print(json.dumps(summary, indent=2) if options.json else _render(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
