"""The baseline of every search: a genotype drawn by lot, which leaves what a search leaves."""

import logging

import torch

from nas_reid.config.schemas import SearchConfig
from nas_reid.nas.bounds import Bounds
from nas_reid.nas.lots import draw_uniform
from nas_reid.parallel.processes import is_main
from nas_reid.record.pictures import draw_genotype
from nas_reid.record.provenance import versions
from nas_reid.run.job import Job
from nas_reid.search_space import SearchSpace
from nas_reid.seed import derive_seed

log = logging.getLogger(__name__)


def draw_by_lot(settings: SearchConfig, space: SearchSpace, job: Job) -> float:
    """Draw a genotype uniformly within the algorithm's bounds; nothing is trained, so the validation mAP is NaN.

    Raises:
        ConfigError: no genotype is within the bounds.
    """
    bounds = Bounds.of(settings.algorithm.bounds, settings.data.image_size)
    generator = torch.Generator().manual_seed(derive_seed(settings.seed, "by lot"))
    genotype = draw_uniform(space, generator, bounds).with_provenance(
        kind="random", seed=settings.seed, bounds=settings.algorithm.bounds, **versions())
    if not is_main():
        return float("nan")
    path = job.folder / "genotype.json"
    genotype.save(path)
    cells = draw_genotype(space, genotype, job.folder / "pictures" / "cells.png")
    log.info("genotype, drawn by lot: %s", path)
    job.finish({"kind": "search", "space": space.name, "data": settings.data.name, "seed": settings.seed,
                "selection": {"split": "none", "mAP": float("nan")}, "metrics": {}, "genotype": str(path)},
               [cells] if cells else [], job.next_line("retrain", {"genotype": path}, same_data=True))
    return float("nan")
