"""Tabulate: genotypes by lot -> one training each under one frozen recipe -> a table of what each is worth.

    python -m nas_reid.tabulate space=auto_reid count=200 workers=2
    python -m nas_reid.tabulate space=auto_reid shard=0/4          # on the first of four machines
    python -m nas_reid.tabulate space=osnet_ain genotypes=[osnet_ain/plain,osnet_ain/ibn,FILE]

A recipe is a list of overrides of nas_reid.retrain, by default experiment=table_<space>; that command makes any line
again. Lines are appended as they come, so that this one can be stopped and repeated; ``nas_reid.tables.Table`` reads
them.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("tabulate")  # help needs none of the imports below

import logging
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean, pstdev

import torch
from omegaconf import DictConfig

from nas_reid.config.loading import load, to_plain
from nas_reid.config.schemas import RetrainConfig
from nas_reid.config.tables import TabulateConfig, shard_of
from nas_reid.data.processes import mapper
from nas_reid.data.source import retrieval_lists
from nas_reid.data.synthetic.spec import GENERATOR_VERSION
from nas_reid.files.foreign import user_path
from nas_reid.genotype import Genotype
from nas_reid.nas.bounds import Bounds
from nas_reid.nas.candidates import uniform_probabilities
from nas_reid.nas.lots import draw_admitted
from nas_reid.network.complexity import count_macs, count_parameters
from nas_reid.progress import progress_total
from nas_reid.record.provenance import versions
from nas_reid.registry import create_searchable, load_genotype, space_of
from nas_reid.retrain import begin, build_parts, evaluate, load_data
from nas_reid.run.command import command
from nas_reid.run.compose import settings as compose_settings
from nas_reid.run.further_data import further_data
from nas_reid.run.stores import Stores, open_stores
from nas_reid.search_space import OffersOneHot
from nas_reid.seed import derive_seed, seed_everything
from nas_reid.tables.table import Line, Table, TableError, body_key
from nas_reid.tables.writing import append, lines_of, recipe_digest
from nas_reid.training.epoch import train_one_epoch

log = logging.getLogger("nas_reid.tabulate")


@dataclass(frozen=True)
class Item:
    """One line to be made: a genotype, where it comes from, the seed of its training, and its ``Line.path``."""

    origin: str
    genotype: Genotype
    seed: int
    path: dict[str, list[int]] | None = None


@command("tabulate")
def main(cfg: DictConfig) -> None:
    """Hydra's entry."""
    settings = load(cfg, TabulateConfig)
    recipe = compose_settings("retrain", [*settings.recipe, "genotype=by_lot", f"device={settings.device}"])
    run(settings, recipe)


def run(settings: TabulateConfig, recipe: RetrainConfig) -> Table:
    """Train what the table does not hold yet, and say what the table says."""
    path, digest = user_path(settings.table), recipe_digest(to_plain(recipe))
    made = {(body_key(line.genotype), line.seed) for line in lines_of(path, recipe=digest)}
    part, parts = shard_of(settings.shard) or (0, 1)
    items = [item for item in list(items_of(settings, recipe))[part::parts]
             if (body_key(item.genotype.body), item.seed) not in made]
    log.info("recipe %s: %d of the trainings are in %s, %d to go", digest, len(made), path, len(items))
    torch.set_num_threads(1)
    if items:
        stores_of(recipe, items[0].genotype)  # drawn and decoded before the workers ask for them
    path.parent.mkdir(parents=True, exist_ok=True)
    with (progress_total(description="tabulate", total=len(items), unit="training") as bar,
          mapper(settings.workers, chunk=1) as map_):
        try:
            for line in map_(partial(train, recipe=recipe, digest=digest), items):
                append(path, line)
                bar.update()
                log.info("%s seed %d: mAP %.1f %%, %d parameters (%.0f s)", line.origin, line.seed, 100 * line.mAP,
                         line.params, line.seconds)
        except BrokenProcessPool:
            raise TableError(f"a worker was ended from outside, for example for want of memory; what is in {path} "
                             "stays: repeat the command, perhaps with fewer workers") from None
    table = Table(path)
    describe(table)
    return table


def items_of(settings: TabulateConfig, recipe: RetrainConfig) -> Iterator[Item]:
    """What the whole table consists of, in order: the first genotypes with all their seeds come first."""
    if settings.genotypes:
        for reference in settings.genotypes:
            yield from (Item(reference, load_genotype(reference), seed) for seed in range(settings.repeats))
        return
    space = create_searchable({**settings.space, **recipe.network})
    bounds = Bounds.of(settings.bounds, recipe.data.image_size)
    for index in range(settings.count):
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, "by lot", index))
        drawn = draw_admitted(space, lambda g: uniform_probabilities(space.decisions(), g), generator, bounds)
        path = (None if isinstance(space, OffersOneHot) else
                {name: rows.argmax(1).tolist() for name, rows in drawn.probabilities.items()})
        for seed in range(settings.repeats if index < settings.repeated else 1):
            yield Item(f"random {index}", drawn.genotype, seed, path)


def train(item: Item, *, recipe: RetrainConfig, digest: str) -> Line:
    """One training, as ``nas_reid.retrain`` does it; the network after the last epoch is tested."""
    torch.set_num_threads(1)
    started, device = time.process_time(), torch.device(recipe.device)
    stores = stores_of(recipe, item.genotype)
    settings = replace(recipe, seed=item.seed, false_positive_rate=None)
    seed_everything(item.seed)
    parts = build_parts(settings, item.genotype, device)
    batches, lists, labels, _ = load_data(settings, stores, parts.augment, device)
    training, _ = begin(settings, item.genotype, parts, stores, labels, device=device, batches=len(batches))
    curve = {}
    for epoch in range(settings.epochs):
        train_one_epoch(training, batches, epoch, seed=item.seed, name="tabulate")
        if lists and (epoch + 1 == settings.epochs or (epoch + 1) % settings.evaluation.every == 0):
            curve[epoch + 1] = evaluate(training.network_to_keep, lists, settings, device).metrics["mAP"]
    test = {name: evaluate(training.network_to_keep, retrieval_lists(store, batch_size=settings.evaluation.batch_size,
                                                               device=device), settings, device).metrics
            for name, store in stores.test.items()}
    height, width = settings.data.image_size
    return Line(genotype=item.genotype.body, origin=item.origin, seed=item.seed, curve=curve,
                test={name: {key: metrics[key] for key in ("mAP", "rank1")} for name, metrics in test.items()},
                params=count_parameters(training.network), macs=count_macs(training.network, (height, width)),
                seconds=round(time.process_time() - started, 1), recipe=digest,
                versions={**versions(), "generator": GENERATOR_VERSION}, path=item.path)


_stores: dict[str, Stores] = {}


def stores_of(recipe: RetrainConfig, genotype: Genotype) -> Stores:
    """The recipe's decoded images, opened once per process; ``genotype`` is one of those that will see them."""
    digest = recipe_digest(to_plain(recipe))
    if digest not in _stores:
        with torch.device("meta"):
            trunk = space_of(genotype, recipe.network).network(genotype)
        _stores[digest] = open_stores(recipe, {key: further_data(key, getattr(recipe, key), recipe.data)
                                               for key in ("sources", "targets", "validation_data")}, trunk)
    return _stores[digest]


def describe(table: Table) -> None:
    """Log what the table says about the space: worth, and how much of it is luck."""
    worth = [entry.mAP for entry in table.entries()]
    log.info("trainings: %d, of genotypes: %d, in %s: mAP %.1f ± %.1f %%, best %.1f %%", len(table.lines), len(table),
             table.path, 100 * fmean(worth), 100 * pstdev(worth), 100 * max(worth))
    if sum(len(entry.lines) > 1 for entry in table.entries()) > 1:
        variance = table.variance_shares()
        log.info("of the variance %.0f %% lies between genotypes, the rest between seeds (%d genotypes with several); "
                 "standard deviations %.2f and %.2f points", 100 * variance.share, variance.groups,
                 100 * variance.between ** 0.5, 100 * variance.within ** 0.5)


if __name__ == "__main__":
    main()
