"""Other ways to search, one beside the other: on the people of the recipe, by validation mAP."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from comparison.plan import Plan, Variant
from comparison.runs import from_start, hardware, is_whole, keep, note, timed, train
from nas_reid.genotype import Genotype
from nas_reid.record.provenance import versions
from nas_reid.tables import Table


@dataclass(frozen=True)
class Found:
    """What a variant found.

    Attributes:
        variant: how it searches.
        validation, mAP: of each seed's genotype, trained alone, on validation and on test people, in [0, 1].
        params: of each with its head.
        minutes: of a processor, of a search and its selection in the mean.
    """

    variant: Variant
    validation: Sequence[float]
    mAP: Sequence[float]
    params: Sequence[int]
    minutes: float


def make_variants(plan: Plan, folder: Path, work: Path, *, workers: int) -> None:
    """Search by every variant and train what it found, where ``folder`` lacks it; arguments as of ``runs.make``."""
    files = []
    for seed in range(plan.variant_seeds):
        for name in plan.variants:
            files.append(kept := plan.variant_genotype(folder, name, seed))
            if not kept.exists():
                _find(plan, name, seed, kept, work / "variants")
        quoted = [f'"{path}"' for path in files]
        train(plan, folder / "variants.jsonl", work, workers, [f"genotypes=[{','.join(quoted)}]"], final=False)


def _find(plan: Plan, name: str, seed: int, kept: Path, work: Path) -> None:
    """Search and select as the variant says, keep the genotype, and note what that took."""
    variant = plan.variants[name]
    run, took = work / f"{variant.on or name}_{seed}", {"minutes": 0.0, "processor_minutes": 0.0}
    if variant.on is None or not is_whole(run):
        searched = timed("search", *plan.search, *plan.tuned, *from_start(plan, work.parent, final=False),
                         *plan.variants[variant.on or name].search, f"seed={seed}", f"hydra.run.dir={run}")
        took = took if variant.on else searched  # the supernet of another is in that one's line
    if variant.select is not None:
        selected = timed("select", f"search={run}", *variant.select, f"seed={seed}",
                         f"hydra.run.dir={(run := work / f'{name}_{seed}_select')}")
        took = {key: round(took[key] + selected[key], 2) for key in took}
    keep(run / "genotype.json", kept)
    note(kept.parents[2] / "variant_searches.jsonl",
         {"variant": name, "seed": seed, **took, **hardware(), "versions": versions()})


def read_variants(plan: Plan, folder: Path) -> dict[str, Found]:
    """Name -> what it found, of those that are made with all their seeds."""
    if not (folder / "variants.jsonl").exists():
        return {}
    table = Table(folder / "variants.jsonl", plan.score_on)
    minutes: dict[str, list[float]] = {}
    for line in map(json.loads, (folder / "variant_searches.jsonl").read_text(encoding="utf-8").splitlines()):
        minutes.setdefault(line["variant"], []).append(line["processor_minutes"])
    made = {}
    for name, variant in plan.variants.items():
        files = [plan.variant_genotype(folder, name, seed) for seed in range(plan.variant_seeds)]
        if all(file.exists() for file in files):
            lines = [table.query(Genotype.load(file)).lines[0] for file in files]
            made[name] = Found(variant, [line.validation for line in lines], [line.mAP for line in lines],
                               [line.params for line in lines],
                               sum(fmean(minutes[each]) for each in {name, variant.on or name}))
    return made
