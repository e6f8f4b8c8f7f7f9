"""Select: a search's trained supernet -> candidates ranked by validation mAP -> the best genotype, and the front.

    python -m nas_reid.select search=outputs/search/auto_reid/<time>
    python -m nas_reid.select search=... method=sampling candidates=50
    python -m nas_reid.select search=... method=random 'bounds.macs=[0,20e6]'
    python -m nas_reid.select search=... validation_data=[c,d]      # by people of other domains
    python -m nas_reid.select search=... method=table table=auto_reid

``search`` is the folder of any search, trained by paths (algorithm=one_shot), by samples or by softmax; nothing is
retrained. Leaves in the run folder: genotype.json, candidates.jsonl with every genotype that was scored, front/ with
those that no other one beats in both mAP and MACs, pictures/front.png and result.json.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("select")  # help needs none of the imports below

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from nas_reid.config.loading import load, to_plain
from nas_reid.config.schemas import SearchConfig
from nas_reid.config.tables import FRONTS, AdaptSettings, SelectConfig
from nas_reid.data.batches import EvalBatches, TrainBatches
from nas_reid.data.resident import ResidentBatches
from nas_reid.deploy.latency import latency_of
from nas_reid.drawing.front import draw_front
from nas_reid.errors import CheckpointError, GenotypeError
from nas_reid.evaluation.retrieval import retrieve
from nas_reid.files import write_atomically
from nas_reid.files.foreign import user_path
from nas_reid.genotype import Genotype
from nas_reid.nas.bilevel import Bilevel
from nas_reid.nas.bounds import Bounds, costs_of
from nas_reid.nas.lots import Drawn
from nas_reid.nas.path import mixes_of, path_of
from nas_reid.nas.selection.adapted import Adapted
from nas_reid.nas.selection.front import front_of
from nas_reid.nas.selection.judge import Candidate, Judge
from nas_reid.nas.selection.likelihood import log_likelihood
from nas_reid.nas.selection.methods import METHODS
from nas_reid.nas.selection.perturbation import perturbation
from nas_reid.nas.selection.supernet import Supernet
from nas_reid.network.checkpoint import load_checkpoint
from nas_reid.network.execution import select_device, trunk_dtype
from nas_reid.progress import progress_total
from nas_reid.record.provenance import versions
from nas_reid.registry import create_searchable
from nas_reid.run.command import command
from nas_reid.run.command_line import next_command
from nas_reid.run.further_data import further_data
from nas_reid.run.invocation import invocation
from nas_reid.run.other_people import other_people
from nas_reid.run.search_data import load_data
from nas_reid.search import build_bilevel
from nas_reid.search_space import Mix, OffersOneHot, SearchSpace
from nas_reid.tables.statistics import kendall_interval, kendall_tau, top_overlap
from nas_reid.tables.table import Line, Table, TableError
from nas_reid.training.optim import build_optimizer, parameter_groups

log = logging.getLogger("nas_reid.select")


@command("select")
def main(cfg: DictConfig) -> float:
    """Hydra's entry. Returns the validation mAP of what was chosen (of ``method=table``: Kendall's tau)."""
    settings, call = load(cfg, SelectConfig), invocation()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    return run(settings, call.folder, select_device(settings.device))


def run(settings: SelectConfig, folder: Path, device: torch.device) -> float:
    """One selection, from a search's folder to ``result.json``."""
    # The search as it was configured, its data, and its supernet with the weights that it ended with.
    table = Table(settings.table, settings.table_on or ()) if settings.table else None
    state = read_search(user_path(settings.search))
    search = load(OmegaConf.create(state["config"]), SearchConfig)
    space = create_searchable(search.space)
    others = other_people(settings.validation_data, settings.validation_people, search, device)
    batches, held_out, num_classes = load_data(search, device)
    bilevel = build_bilevel(search, space, num_classes, device, steps=len(batches[0]))
    bilevel.load_state_dict(state["bilevel"])
    if settings.precision is not None:
        bilevel.network.trunk_dtype = bilevel.network.judged_dtype = trunk_dtype(settings.precision, device)
    supernet = open_supernet(bilevel, search, batches[0], others or [held_out], reestimate=settings.reestimate)
    adapted = Adapted(supernet, partial(adapt, bilevel, batches[0], settings.adapt))
    scorer = adapted if settings.adapt.steps else supernet

    # Look at candidates.
    started = time.monotonic()
    if table is not None and settings.method == "table":
        worth = scorer.evaluate if settings.score == "supernet" else partial(
            log_likelihood, space.decisions(), state["history"][-1])
        return compare(worth, space, table, folder)
    bounds = Bounds.of(settings.bounds, search.data.image_size)
    judge = Judge(space, scorer.evaluate, bounds)
    with progress_total(description=settings.method, total=settings.candidates, unit="genotype") as bar:
        judge.watch = bar.update
        between = partial(tune, bilevel, batches[0], bilevel.lower.optimizer, steps=settings.tune_steps)
        look(settings, judge, supernet, between, state["history"][-1])
    log.info("genotypes looked at: %d, in %.0f s", len(judge.seen), time.monotonic() - started)

    # The best, the front, and the command that comes next.
    costs = costs_of_all(settings, space, judge.seen, search.data.image_size, device)
    return finish(settings, search, space, judge.seen, costs, folder)


def read_search(folder: Path) -> dict[str, Any]:
    """The last checkpoint of a search.

    Raises:
        CheckpointError: the folder is none of a search.
    """
    path = user_path(folder) / "checkpoints" / "last.pt"
    state = load_checkpoint(path)
    if "bilevel" not in state:
        raise CheckpointError(f"{path} holds no supernet; search= must be the folder of a nas_reid.search run")
    return {**state, "config": {"alphas_data": None, **state["config"]}}  # searches from before the key lack it


def open_supernet(bilevel: Bilevel, search: SearchConfig, batches: TrainBatches,
                  lists: Sequence[Sequence[EvalBatches]], *, reestimate: int) -> Supernet:
    """The supernet with its validation images in memory."""
    resident = []
    for asked, shown in lists:
        query = ResidentBatches.of(asked)
        resident.append((query, query if shown is asked else ResidentBatches.of(shown)))

    def rank(network: nn.Module, query: ResidentBatches, gallery: ResidentBatches) -> float:
        """Validation mAP."""
        return retrieve(network, query, gallery, distance=search.evaluation.distance, flip=search.evaluation.flip,
                        device=query.images.device).metrics["mAP"]

    return Supernet(bilevel.network, resident, rank,
                    [batches.load(0, step) for step in range(min(reestimate, len(batches)))])


def look(settings: SelectConfig, judge: Judge, supernet: Supernet, tune: Any, probabilities: Mapping[str, Any]) -> None:
    """Let the method look at candidates; they are in ``judge.seen`` afterwards."""
    generator = torch.Generator().manual_seed(settings.seed)
    if settings.method == "perturbation":
        decided = perturbation(supernet.evaluate, probabilities, generator, tune=tune, every=settings.tune_every)
        judge.score(Drawn.of(judge.space, decided))
        return
    options: dict[str, dict[str, Any]] = {
        "evolution": {"population": settings.population, "tournament": settings.tournament, "rows": settings.rows},
        "halving": {"rounds": settings.rounds}, "sampling": {"probabilities": probabilities}}
    METHODS[settings.method](judge, generator, candidates=settings.candidates, **options.get(settings.method, {}))


def tune(bilevel: Bilevel, batches: TrainBatches, optimizer: Optimizer, mixes: Mapping[str, Mix], *, steps: int,
         falling: bool = False) -> None:
    """A few steps of the supernet's weights under mixing weights that do not move, on the same images each time.

    At the rate that the optimiser has; ``falling``: from there linearly to zero.
    """
    network, rates = bilevel.network.train(), [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - step / steps) if falling else rate
        batch = batches.load(*divmod(step, len(batches)))
        output = network(batch.images, mixes, batch.modalities)
        loss, _ = bilevel.lower.objective(output, batch.labels, batch.modalities)
        loss.backward()
        clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()


def adapt(bilevel: Bilevel, batches: TrainBatches, settings: AdaptSettings, mixes: Mapping[str, Mix]) -> None:
    """Train one candidate's own ops, by an optimiser without a past."""
    groups = parameter_groups(bilevel.network.named_parameters(), weight_decay=settings.weight_decay)
    optimizer = build_optimizer(settings.name, groups, lr=settings.lr, momentum=settings.momentum)
    tune(bilevel, batches, optimizer, mixes, steps=settings.steps, falling=True)


def costs_of_all(settings: SelectConfig, space: SearchSpace, seen: Sequence[Candidate], image_size: Sequence[int],
                 device: torch.device) -> list[dict[str, float]]:
    """params and macs of each candidate's trunk, and its latency where the front asks for it."""
    height, width = image_size
    costs: list[dict[str, float]] = [{**costs_of(space, candidate.genotype, (height, width))} for candidate in seen]
    if settings.front == "latency":
        with progress_total(description="latency", total=len(seen), unit="network") as bar:
            for candidate, cost in zip(seen, costs, strict=True):
                trunk = space.network(candidate.genotype)
                cost["latency"] = round(latency_of(trunk, (height, width), device=device), 3)
                bar.update()
    return costs


def finish(settings: SelectConfig, search: SearchConfig, space: SearchSpace, seen: Sequence[Candidate],
           costs: Sequence[Mapping[str, float]], folder: Path) -> float:
    """Write what was found, draw the front, and say what comes next; returns the best validation mAP."""
    lines = [json.dumps({"mAP": candidate.mAP, **cost, "genotype": candidate.genotype.body})
             for candidate, cost in zip(seen, costs, strict=True)]
    write_atomically(folder / "candidates.jsonl", ("\n".join(lines) + "\n").encode())
    best, judge = max(seen, key=lambda candidate: candidate.mAP), judged_on(settings, search)
    chosen(best, settings, search, judge).save(folder / "genotype.json")
    worth, cost = [candidate.mAP for candidate in seen], [each[settings.front] for each in costs]
    front, digits = front_of(worth, cost), "012.3f" if settings.front == "latency" else "012d"
    for index in front:
        chosen(seen[index], settings, search, judge).save(
            folder / "front" / f"{settings.front}_{cost[index]:{digits}}.json")
    draw_front(worth, cost, front, folder / "pictures" / "front.png", xlabel=FRONTS[settings.front],
               ylabel="validation mAP on the supernet, %")
    result = {"kind": "select", "search": settings.search, "space": space.name, "method": settings.method,
              "selection": {"split": "validation", "data": judge, "mAP": best.mAP, "candidates": len(seen)},
              "metrics": {}, "genotype": str(folder / "genotype.json"), "front": len(front), "versions": versions(),
              "config": to_plain(settings)}
    write_atomically(folder / "result.json", (json.dumps(result, indent=2) + "\n").encode())
    log.info("best of %d: validation mAP %.1f %% on the supernet; median %.1f %%; front of %d: %s", len(seen),
             100 * best.mAP, 100 * median(worth), len(front), folder / "front")
    call = replace(invocation(), data=search.data.name, overrides=())  # the data are those of the search
    log.info("next: %s", next_command(call, "retrain", {"genotype": folder / "genotype.json"},
                                      data=to_plain(search)["data"]))
    return best.mAP


def chosen(candidate: Candidate, settings: SelectConfig, search: SearchConfig, judge: str) -> Genotype:
    """A candidate's genotype, with where it comes from; ``judge`` are the data that say its mAP."""
    return candidate.genotype.with_provenance(
        kind="select", method=settings.method, seed=settings.seed, search_seed=search.seed, data=search.data.name,
        synthetic=search.data.synthetic is not None, algorithm=search.algorithm.name,
        validation={"mAP": candidate.mAP, "data": judge}, **versions())


def judged_on(settings: SelectConfig, search: SearchConfig) -> str:
    """Names of the data sets whose people judge."""
    return "+".join(further_data("validation_data", settings.validation_data, search.data, several=True)
                    ) or search.data.name


def compare(worth: Callable[[Mapping[str, Mix]], float], space: SearchSpace, table: Table, folder: Path) -> float:
    """How well ``worth`` ranks the genotypes of a table: Kendall's tau with an interval, and the overlap of the best
    tenth; the scores are left in scores.jsonl."""
    entries, scores = table.entries(), []
    paths = [path_of_line(space, entry.lines[0], table) for entry in entries]
    with progress_total(description="table", total=len(entries), unit="genotype") as bar:
        for path in paths:
            scores.append(worth(path))
            bar.update()
    truth = [entry.mAP for entry in entries]
    tau = kendall_tau(scores, truth)
    low, high = kendall_interval(scores, truth)
    lines = [json.dumps({"origin": entry.lines[0].origin, "supernet": score, "mAP": entry.mAP})
             for entry, score in zip(entries, scores, strict=True)]
    write_atomically(folder / "scores.jsonl", ("\n".join(lines) + "\n").encode())
    result = {"kind": "select", "method": "table", "table": str(table.path), "recipe": table.recipe, "tau": tau,
              "tau_interval": [low, high], "top_tenth_overlap": top_overlap(scores, truth), "genotypes": len(truth),
              "versions": versions()}
    write_atomically(folder / "result.json", (json.dumps(result, indent=2) + "\n").encode())
    log.info("Kendall's tau %.2f [%.2f, %.2f] over %d genotypes; of the best tenth %.0f %% are found", tau,
             low, high, len(truth), 100 * top_overlap(scores, truth))
    return tau


def path_of_line(space: SearchSpace, line: Line, table: Table) -> dict[str, Mix]:
    """The mixing weights that run a tabulated genotype's own ops.

    Raises:
        TableError: it is none of this space.
    """
    try:
        if line.path is None and isinstance(space, OffersOneHot):
            return path_of(space, Genotype(space.name, space.version, line.genotype), {})
        reason, rows = "its path has other decisions", line.path or {}
        if {name: len(row) for name, row in rows.items()} == {each.name: each.rows for each in space.decisions()}:
            return mixes_of(space, {name: torch.tensor(row) for name, row in rows.items()})
    except (GenotypeError, RuntimeError) as error:  # a choice beyond the last is a RuntimeError of torch's
        reason = str(error)
    raise TableError(f"{table.path} holds {line.origin!r}, which is no genotype of the supernet's space {space.name}: "
                     f"{reason}. Give table= trainings of that space, with as many nodes or blocks as were searched")


if __name__ == "__main__":
    main()
