"""Compare runs and sweeps: mean ± std by setting, the best by validation, and one page to look at.

    python -m nas_reid.compare multirun/search/auto_reid/2026-01-31_12-00-00
    python -m nas_reid.compare FOLDER FOLDER metric=rank1 json=true

Every run below the folders is read. Runs that differ in nothing but the seed (and in settings without influence on the
result, such as the device) form a group; so do the splits of a data set and the directions between two cameras, over
which protocols average. A file of another run (genotype=, weights=, pretrained=, teacher=) stands for that run's
settings: retrainings of what several seeds of one search found are one group. Searches and retrainings are never ranked
in one list: the validation of a supernet says nothing about a trained network. Unseen targets have a column each, and
so have the settings of a protocol with several (trials). The best is the one with the highest *validation* metric:
choosing by the test gallery or by a target would make every number reported on it too good. The standard deviation is
that of a sample (n - 1). Leaves compare.html in the run folder.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("compare")  # help needs none of the imports below

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

from nas_reid.config.comparison import CompareConfig
from nas_reid.config.loading import load
from nas_reid.errors import ConfigError
from nas_reid.files.foreign import user_path
from nas_reid.nas.selection.front import front_of
from nas_reid.record.comparison import spread, write_comparison
from nas_reid.record.runs import Run, Sweep, best_run, genotype_of, metrics_of, read_runs, summarize
from nas_reid.run.command import command
from nas_reid.run.command_line import next_command
from nas_reid.run.invocation import Invocation, invocation
from nas_reid.run.plain_folders import folders_as_runs

NEXT = {"retrain": "evaluate", "search": "retrain"}
"""Kind of run, the furthest first, and the command that comes next."""

log = logging.getLogger("nas_reid.compare")


@command("compare")
def _entry(cfg: DictConfig) -> None:
    sys.stdout.write(run(load(cfg, CompareConfig), invocation().folder) + "\n")


def main() -> None:
    """Hydra's entry, with folders as they are typed. Prints the summary."""
    sys.argv[1:] = folders_as_runs(sys.argv[1:])
    _entry()


def run(settings: CompareConfig, folder: Path) -> str:
    """One comparison, written to ``folder``; returns what is printed."""
    roots = [user_path(root) for root in settings.folders()]
    for root in roots:
        if not root.is_dir():
            raise ConfigError(f"{root} is not a folder; expected that of a run or a sweep, such as "
                              "multirun/search/<space>/<time>")
    found = read_runs(roots)
    if not (found.finished or found.unfinished or found.failed):
        raise ConfigError(f"{', '.join(map(str, roots))} holds no run: found no result.json, metrics.jsonl or .hydra "
                          "below it")
    for root in roots:
        if not any(path.is_relative_to(root) for path in found.folders()):
            log.warning("%s holds no run: exported folders, searches for images and the like cannot be compared", root)
    if found.finished and settings.metric not in (known := metrics_of(found.finished)):
        raise ConfigError(f"metric={settings.metric} is in no result; choose one of {', '.join(known)}")
    summary = summarize(found, settings.metric) | best(found, settings.metric)
    if found.finished:
        below = "\n".join(told(summary)).strip()
        path = write_comparison(folder / "compare.html", found.finished, summary, printed=below, front_of=front_of)
        log.info("compared: %s", path)
    return json.dumps(summary, indent=2) if settings.json else render(summary)


def best(sweep: Sweep, metric: str) -> dict[str, Any]:
    """The best run of each kind with the command that goes on from it, and of all the one of the furthest kind."""
    found = {kind: _told(run, metric) for kind in NEXT if (run := best_run(sweep.finished, kind, metric))}
    return {"best": next(iter(found.values()), None), "best_of_kind": found}


def _told(run: Run, metric: str) -> dict[str, Any]:
    kind, genotype = run.result["kind"], genotype_of(run)
    arguments: dict[str, dict[str, object]] = {"retrain": {"checkpoint": run.folder / "checkpoints" / "best.pt"},
                                               "search": {"genotype": genotype}}
    data = (run.result.get("config") or {}).get("data") or {}
    line = next_command(_invocation(run.folder, data), NEXT[kind], arguments[kind],
                        data=data if "name" in data else None)
    return {"folder": str(run.folder), "seed": run.result.get("seed"), "validation": run.validation(metric),
            "genotype": genotype, "command": line}


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


def render(summary: Mapping[str, Any]) -> str:
    """The summary as a table for a terminal."""
    metric = summary["metric"]
    further = [(kind, name) for kind in ("trials", "targets") for name in (summary["groups"] or [{kind: ()}])[0][kind]]
    rows = [("group", "runs", f"validation {metric}", f"test {metric}", *(f"{name} {metric}" for _, name in further))]
    rows += [(group["short"], str(len(group["seeds"])), spread(group["validation"]), spread(group["test"]),
              *(spread(group[kind][name]) for kind, name in further)) for group in summary["groups"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in
                                                   zip(row[1:], widths[1:], strict=True))]) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([*lines, *told(summary)])


def told(summary: Mapping[str, Any]) -> list[str]:
    """The lines below the table: what is missing, the best run of each kind, and the commands that come next."""
    metric = summary["metric"]
    lines = [f"unfinished: {folder}" for folder in summary["unfinished"]]
    lines += [f"failed: {folder}: {reason}" for folder, reason in summary["failed"].items()]
    if not summary["best_of_kind"]:
        lines.append(f"\nNo finished run has a validation {metric}, so none can be called the best.")
    for kind, found in summary["best_of_kind"].items():
        lines += [f"\nbest {kind} by validation {metric}: {found['validation']:.2%}, seed {found['seed']}",
                  *([f"  {found['genotype']}"] if found["genotype"] else []), f"  {found['command']}"]
    return lines


if __name__ == "__main__":
    main()
