"""Making what a comparison lacks, by the commands that anybody runs; what is there is left alone."""

import json
import math
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from comparison.plan import Plan, Variant
from nas_reid.errors import ConfigError
from nas_reid.files import write_atomically
from nas_reid.genotype import Genotype
from nas_reid.nas.bounds import costs_of, declared_cost
from nas_reid.record.provenance import versions
from nas_reid.registry import space_of
from nas_reid.run.compose import settings


def run_command(command: str, *overrides: str) -> None:
    """``python -m nas_reid.<command>`` as a process of its own, whose output goes where ours goes.

    Raises:
        ConfigError: it failed; its own message stands above.
    """
    line = [sys.executable, "-m", f"nas_reid.{command}", *overrides]
    if subprocess.run(line, check=False).returncode:
        raise ConfigError(f"nas_reid.{command} failed, its message stands above; what is made so far stays: repeat the "
                          "script once its cause is removed")


def make(plan: Plan, folder: Path, work: Path, *, workers: int) -> None:
    """Search, train and score what ``folder`` lacks.

    Args:
        plan: what there must be.
        folder: of the raw lines and genotypes, which are kept.
        work: of the run folders.
        workers: trainings at once.
    """
    for seed in range(plan.searches):
        _search(plan, folder, work, seed)
    files = [f'"{path}"' for path in plan.genotypes(folder)]
    train(plan, folder / "searched.jsonl", work, workers, [f"genotypes=[{','.join(files)}]"], repeats=plan.repeats)
    if plan.hand_made:
        train(plan, folder / "hand_made.jsonl", work, workers, [f"genotypes=[{','.join(plan.hand_made)}]"],
               repeats=plan.repeats)
    train(plan, folder / "random.jsonl", work, workers, [*_space(plan), f"count={plan.random}", "repeated=0"])
    if plan.equal:
        low, high = equal_bounds(plan, folder)
        train(plan, folder / "equal.jsonl", work, workers,
               [*_space(plan), f"count={plan.equal}", "repeated=0", "seed=1", f"bounds.{plan.equal_by}=[{low},{high}]"])
    for name, scorer in {"search": Variant(select=plan.select), **plan.scorers}.items():
        _score(plan, folder, work, name, scorer)


def equal_bounds(plan: Plan, folder: Path) -> tuple[float, float]:
    """Least and most that a genotype may cost to be as dear as the searched are in the mean; see ``Plan.equal_by``.

    Costs that are counts, such as parameters, are rounded outward.
    """
    recipe = settings("retrain", [*plan.recipe, *plan.final, "genotype=by_lot"])
    height, width = recipe.data.image_size
    searched = [Genotype.load(plan.genotype(folder, seed)) for seed in range(plan.searches)]
    spaces = [space_of(genotype, recipe.network) for genotype in searched]
    costs = [declared_cost(space, genotype, {name: torch.tensor(rows) for name, rows in genotype.probabilities.items()})
             if plan.equal_by == "cost" else costs_of(space, genotype, (height, width), macs=False)["params"]
             for space, genotype in zip(spaces, searched, strict=True)]
    mean = sum(costs) / len(costs)
    low, high = mean * (1 - plan.tolerance), mean * (1 + plan.tolerance)
    return (math.floor(low), math.ceil(high)) if all(float(cost).is_integer() for cost in costs) else (low, high)


def _search(plan: Plan, folder: Path, work: Path, seed: int) -> None:
    kept = plan.genotype(folder, seed)
    if not kept.exists():
        genotype, seconds = _found(plan, work / f"search{seed}", seed)
        keep(genotype, kept)  # the last: what is there is whole
        note(folder / "searches.jsonl", {"seed": seed, **seconds, **hardware(), "versions": versions()})
    for epoch in plan.epochs if seed < plan.curves else ():
        if not (earlier := plan.genotype(folder, seed, epoch)).exists():
            keep(_after(plan, work, seed, epoch), earlier)


def _found(plan: Plan, run: Path, seed: int, *further: str) -> tuple[Path, dict[str, float]]:
    """The genotype that a search, and the selection after it, find; and what that took."""
    start = from_start(plan, run.parent)
    seconds = timed("search", *plan.search, *plan.final, *start, *further, f"seed={seed}", f"hydra.run.dir={run}")
    if plan.select:
        chosen = run.with_name(f"{run.name}_select")
        selected = timed("select", f"search={run}", *plan.select, f"seed={seed}", f"hydra.run.dir={chosen}")
        return chosen / "genotype.json", {key: round(seconds[key] + selected[key], 2) for key in seconds}
    return run / "genotype.json", seconds


def _after(plan: Plan, work: Path, seed: int, epoch: int) -> Path:
    """The genotype that a search derives after an epoch; a selection needs a search that ends there."""
    if plan.select:
        return _found(plan, work / f"search{seed}_epoch{epoch:03d}", seed, f"epochs={epoch}")[0]
    return work / f"search{seed}" / "genotypes" / f"epoch_{epoch:03d}.json"


def keep(source: Path, target: Path) -> None:
    """Copy a file of a run to where the page's stay.

    Raises:
        ConfigError: the run left no such file.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise ConfigError(f"{source} does not exist: the plan's epochs= must be at most those of the search; if its "
                          f"folder is gone, delete {target.name.partition('_')[0]}.json to search again") from None


def train(plan: Plan, table: Path, work: Path, workers: int, what: Sequence[str], *, repeats: int = 1,
          final: bool = True) -> None:
    """Append to ``table`` what it lacks of the trainings ``what`` (overrides of nas_reid.tabulate), on the final people
    or on those of the recipe."""
    overrides = [*plan.recipe, *(plan.final if final else ())]
    if plan.start:
        overrides.append(f"weights={_start(plan, work, final=final)}")
    recipe = ",".join(f'"{text}"' for text in overrides)
    run_command("tabulate", f"recipe=[{recipe}]", f"table={table}", f"workers={workers}", f"repeats={repeats}", *what,
                f"hydra.run.dir={work / table.stem}")


def from_start(plan: Plan, work: Path, *, final: bool = True) -> list[str]:
    """What a search is given to start from the plan's common weights, if it is to."""
    return [f"pretrained={_start(plan, work, final=final)}"] if plan.pretrained else []


def _start(plan: Plan, work: Path, *, final: bool) -> Path:
    """The weights that all of a plan's trainings start from, made unless they are there."""
    run = work / ("start" if final else "start_tuned")
    _supernet(run, *plan.start, *(plan.final if final else plan.tuned))
    return run / "checkpoints" / "last.pt"


def _supernet(run: Path, *overrides: str) -> None:
    """Train it in the folder ``run``, unless that is done."""
    if not is_whole(run):
        run_command("search", *overrides, f"hydra.run.dir={run}")


def is_whole(run: Path) -> bool:
    """Whether a search in this folder came to its end; one that was stopped has a checkpoint, too."""
    return (run / "genotype.json").exists() and (run / "checkpoints" / "last.pt").exists()


def _space(plan: Plan) -> list[str]:
    """The space that genotypes by lot are of, for nas_reid.tabulate."""
    return list(plan.lots) or [word for word in plan.search if word.startswith("space")] or [f"space={plan.space}"]


def _score(plan: Plan, folder: Path, work: Path, name: str, scorer: Variant) -> None:
    kept = folder / f"scores_{name}.jsonl"
    if kept.exists():
        return
    run = work / f"scorer_{scorer.on or name}"
    searched = plan.scorers.get(scorer.on or name, scorer).search
    _supernet(run, *plan.search, *plan.tuned, *from_start(plan, work, final=False), *searched, "seed=0")
    table = folder / "random.jsonl" if plan.table == "random" else plan.table
    run_command("select", f"search={run}", *(scorer.select or ()), "method=table", f"table={table}",
                f"table_on=[{','.join(plan.score_on)}]", f"hydra.run.dir={work / f'scores_{name}'}")
    keep(work / f"scores_{name}" / "scores.jsonl", kept)


def timed(command: str, *overrides: str) -> dict[str, float]:
    """Minutes of the clock and of processors that a command took."""
    began, used = time.monotonic(), _processor_seconds()
    run_command(command, *overrides)
    return {"minutes": round((time.monotonic() - began) / 60, 2),
            "processor_minutes": round((_processor_seconds() - used) / 60, 2)}


def _processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def hardware() -> dict[str, str]:
    """What the commands run on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return {"hardware": f"{torch.get_num_threads()} threads, {platform.machine()}, {gpu}"}


def note(path: Path, line: dict[str, Any]) -> None:
    """Append a line of JSON."""
    before = path.read_bytes() if path.exists() else b""
    write_atomically(path, before + json.dumps(line).encode() + b"\n")
