"""Runs and sweeps as they are found on a disk: their results, settings, and what is missing or failed."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nas_reid.drawing.lettering import shortened
from nas_reid.files.foreign import read_text

# Settings that may differ between two runs of the same experiment.
IGNORED = ("seed", "device", "threads", "resume", "wandb", "data.workers", "data.cache",
           "data.options.split", "data.options.direction", "data.options.fold", "data.options.split_seed")
_SETTINGS, _LONGEST = 3, 40
"""Settings of a short label, and characters of a value in it."""
FILES_OF_RUNS = ("genotype", "weights", "pretrained", "teacher")


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

    def validation(self, metric: str) -> float | None:
        """The metric on the validation identities; None when the run was not selected on them."""
        selection = self.result.get("selection") or {}
        return selection.get(metric) if selection.get("split") == "validation" else None

    def test(self, metric: str) -> float | None:
        """The metric on query and gallery of the test set; None for a search."""
        return (self.result.get("metrics") or {}).get(metric)

    def target(self, name: str, metric: str) -> float | None:
        """The metric on a data set that the network was not adapted to; None where it was not evaluated there."""
        return ((self.result.get("targets") or {}).get(name) or {}).get(metric)

    def trial(self, name: str, metric: str) -> float | None:
        """The metric's mean over the trials of this name on the test set; None where there are none."""
        return ((self.result.get("trials") or {}).get(name) or {}).get(metric)


@dataclass
class Sweep:
    """All jobs under some folders; the reason of a failure is the last error line of the job's log."""

    finished: list[Run] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)

    def folders(self) -> list[Path]:
        """Of all the jobs."""
        return [*(run.folder for run in self.finished), *self.unfinished, *self.failed]


def metrics_of(runs: Sequence[Run]) -> list[str]:
    """Names of the numbers by which runs can be summed up, sorted."""
    found = [part for run in runs for result in [run.result]
             for part in (result.get("selection"), result.get("metrics"), *(result.get("targets") or {}).values(),
                          *(result.get("trials") or {}).values())]
    return sorted({name for part in found for name, value in (part or {}).items()
                   if isinstance(value, (int, float)) and not isinstance(value, bool)})


def read_runs(roots: Sequence[Path]) -> Sweep:
    """Find every job under the folders: one with Hydra's record of it, with metrics, or with a result."""
    marks = (path for root in roots for name in ("result.json", "metrics.jsonl", ".hydra") for path in root.rglob(name))
    sweep = Sweep()
    for folder in sorted({path.parent for path in marks}):
        error = _last_error(folder)
        try:
            result = json.loads(read_text(folder / "result.json"))
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
    """Label -> runs. The label names the kind, and the settings in which groups of this kind differ."""
    groups: dict[str, list[Run]] = {}
    for kind, members in by_kind(runs).items():
        differing = differing_settings(members)
        for run in members:
            label = " ".join(f"{key}={shown(run.settings[key], [other.settings.get(key) for other in members])}"
                             for key in differing if key in run.settings)
            groups.setdefault(f"{kind} {label}".strip(), []).append(run)
    return groups


def short_labels(groups: Mapping[str, Sequence[Run]]) -> dict[str, str]:
    """Label of ``group_runs`` -> what fits into a line: of unlike groups the few settings that tell most of them apart.

    An ellipsis stands for further settings and for the ends of long values.
    """
    short: dict[str, str] = {}
    labels = {id(runs[0]): label for label, runs in groups.items()}
    for kind, members in by_kind([runs[0] for runs in groups.values()]).items():
        found = {key: [run.settings.get(key) for run in members] for key in differing_settings(members)}
        telling = sorted(found, key=lambda key: (-len(set(found[key])), key.count("."), key))
        needed = next((count for count in range(len(telling))
                       if len(set(zip(*(found[key] for key in telling[:count]), strict=True))) == len(members)),
                      len(telling))
        chosen = telling[:max(_SETTINGS, needed)]
        for run in members:
            parts = [f"{key}={shortened(shown(run.settings[key], found[key]), _LONGEST)}" for key in sorted(chosen)
                     if key in run.settings]
            short[labels[id(run)]] = " ".join([kind, *parts, *(["…"] if len(telling) > len(chosen) else [])])
    return {label: text if list(short.values()).count(text) == 1 else label for label, text in short.items()}


def by_kind(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Kind -> its runs."""
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kinds.setdefault(str(run.result.get("kind", "?")), []).append(run)
    return kinds


def differing_settings(runs: Sequence[Run], *, ignored: bool = False) -> list[str]:
    """Dotted keys of the configuration in which the runs differ.

    Args:
        runs: of any kinds.
        ignored: whether those count that make no other experiment, such as the seed.
    """
    keys = sorted({key for run in runs for key in run.settings if ignored or not _is_ignored(key)})
    return [key for key in keys if len({run.settings.get(key) for run in runs}) > 1]


def summarize(sweep: Sweep, metric: str) -> dict[str, Any]:
    """Mean and sample deviation (n - 1) by setting, what is missing and what failed, as plain data; metrics are
    fractions."""
    runs = sweep.finished
    targets = sorted({name for run in runs for name in run.result.get("targets") or {}})
    trials = list(dict.fromkeys(name for run in runs for name in run.result.get("trials") or {}))
    grouped = group_runs(runs)
    short = short_labels(grouped)
    groups = [{"group": label, "short": short[label], "seeds": [run.result.get("seed") for run in members],
               "validation": _spread([run.validation(metric) for run in members]),
               "test": _spread([run.test(metric) for run in members]),
               "targets": {name: _spread([run.target(name, metric) for run in members]) for name in targets},
               "trials": {name: _spread([run.trial(name, metric) for run in members]) for name in trials}}
              for label, members in grouped.items()]
    return {"metric": metric, "groups": groups, "unfinished": [str(folder) for folder in sweep.unfinished],
            "failed": {str(folder): reason for folder, reason in sweep.failed.items()}}


def best_run(runs: Sequence[Run], kind: str, metric: str) -> Run | None:
    """The run of a kind with the highest validation metric: the test gallery and targets choose nothing."""
    ranked = [(value, run) for run in runs
              if run.result.get("kind") == kind and (value := run.validation(metric)) is not None]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def genotype_of(run: Run) -> str | None:
    """File or name of the genotype that the run found or trained."""
    own = run.folder / "genotype.json"
    return str(own) if own.exists() else run.result.get("genotype")


def shown(value: str | Origin, others: Sequence[str | Origin | None]) -> str:
    """A setting in a label; of an origin, only in what it differs from the other origins."""
    if not isinstance(value, Origin):
        return value
    rest = [dict(other.settings) for other in others if isinstance(other, Origin)]
    own = [f"{key}={shown(setting, [other.get(key) for other in rest])}" for key, setting in value.settings
           if any(other.get(key) != setting for other in rest)]
    return f"{value.kind}({','.join(own)})" if own else value.kind


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
            result = json.loads(read_text(folder / "result.json"))
            settings = {key: value for key, value in _settings(result["config"]).items() if not _is_ignored(key)}
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            continue
        return Origin(str(result.get("kind")), tuple(sorted(settings.items())))
    return None


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
