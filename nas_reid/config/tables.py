"""Types and ranges of the commands that make and use tables of trainings; see ``nas_reid.config.schemas``."""

from dataclasses import dataclass
from typing import Any

from nas_reid.config.algorithm import are_bounds
from nas_reid.config.groups import Rules, is_one_of
from nas_reid.nas.selection.methods import METHODS
from nas_reid.network.execution import PRECISIONS
from nas_reid.training.optim import OPTIMIZERS

FRONTS = {"macs": "MACs of the trunk per image", "params": "parameters of the trunk",
          "latency": "milliseconds of the trunk per image"}
"""Costs that a front may hold mAP against, as its picture names them."""


@dataclass
class TabulateConfig:
    """``python -m nas_reid.tabulate``."""

    space: Any                     # name, and the constructor arguments of that space
    recipe: list[str]              # overrides of nas_reid.retrain, the same for every line
    table: str                     # file that lines are appended to
    count: int                     # genotypes drawn by lot; genotype i is the same everywhere
    repeated: int                  # of these, the first so many are trained with ...
    repeats: int                   # ... so many seeds; the others with one
    genotypes: list[str]           # files or published names to train instead, with `repeats` seeds
    bounds: Any                    # params, macs: [least, most] of the trunks drawn by lot
    seed: int                      # of the drawing
    shard: str                     # i/n: the i-th of n equal parts, counted from 0
    workers: int                   # processes of one thread each
    device: str

    def rules(self) -> Rules:
        """Ranges, and what excludes what."""
        yield ("space", isinstance(self.space, dict) and "name" in self.space,
               "must come from conf/space: space=<name>")
        yield "count", self.count >= 1, "must be at least 1"
        yield "repeated", self.repeated >= 0, "must be >= 0"
        yield "repeats", self.repeats >= 1, "must be at least 1"
        yield "seed", self.seed >= 0, "must be >= 0"
        yield "workers", self.workers >= 1, "must be at least 1"
        yield "bounds", *are_bounds(self.bounds)
        yield "shard", shard_of(self.shard) is not None, "must be i/n with 0 <= i < n, such as 0/2"


def shard_of(text: str) -> tuple[int, int] | None:
    """``(i, n)`` of ``"i/n"``; None for anything else."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and int(part) < int(parts)):
        return None
    return int(part), int(parts)


@dataclass
class AdaptSettings:
    """How each candidate's own ops are trained from the supernet's weights before it is looked at."""

    steps: int                     # 0: not at all
    name: str                      # of the optimiser
    lr: float                      # where its rate starts to fall to zero
    momentum: float                # sgd only
    weight_decay: float

    def rules(self) -> Rules:
        """Ranges."""
        yield "steps", self.steps >= 0, "must be >= 0"
        yield "name", *is_one_of(self.name, OPTIMIZERS)
        yield "lr", 0 < self.lr < float("inf"), "must be positive"
        yield "momentum", 0 <= self.momentum < 1, "must lie in [0, 1)"
        yield "weight_decay", self.weight_decay >= 0, "must be >= 0"


@dataclass
class SelectConfig:
    """``python -m nas_reid.select``."""

    search: str                    # folder of a search
    method: str
    candidates: int
    population: int                # evolution
    tournament: int                # evolution
    rows: int                      # evolution: that a mutation draws anew
    rounds: int                    # halving
    tune_every: int                # perturbation: decided rows between two tunings; 0: none
    tune_steps: int                # perturbation: training steps of a tuning
    table: str | None              # a table of trainings: the supernet ranks its genotypes
    table_on: list[str] | None     # its test sets that count; None: all
    score: str                     # table: what ranks them
    bounds: Any                    # params, macs: [least, most] of the trunk
    front: str                     # cost that the front holds mAP against
    adapt: AdaptSettings
    reestimate: int                # training batches for the statistics of norms that keep some
    validation_data: Any           # data sets to judge by instead of the search's validation people
    validation_people: int         # of each
    seed: int
    device: str
    precision: str | None          # of the convolutions; None: the search's
    threads: int | None

    def rules(self) -> Rules:
        """Ranges, and what excludes what."""
        yield "method", *is_one_of(self.method, (*METHODS, "perturbation", "table"))
        yield "method", self.method != "table" or self.table is not None, "needs table=, the trainings to compare with"
        yield "table_on", not self.table_on or self.table is not None, "needs table=, whose test sets it names"
        yield "score", *is_one_of(self.score, ("supernet", "probabilities"))
        yield ("score", self.score != "probabilities" or (self.method == "table" and not self.adapt.steps),
               "probabilities rank a table as they are: set method=table, and adapt.steps=0")
        yield "validation_people", self.validation_people >= 2, "must be at least 2"
        for key in ("candidates", "population", "tournament", "rows", "rounds", "reestimate"):
            yield key, getattr(self, key) >= 1, "must be at least 1"
        if self.method == "evolution":
            yield "tournament", self.tournament <= self.population, f"must not exceed population={self.population}"
            yield "population", self.population <= self.candidates, f"must not exceed candidates={self.candidates}"
        if self.method == "halving" and 1 <= self.rounds:
            yield "rounds", self.rounds <= 32, "must be at most 32"
            yield ("candidates", self.rounds > 32 or self.candidates >= 2 ** (self.rounds - 1),
                   f"must be at least 2^(rounds - 1) = {2 ** (min(self.rounds, 32) - 1)}: half go in each round")
        yield ("adapt.steps", not self.adapt.steps or self.method != "perturbation",
               "perturbation tunes the whole supernet: set tune_steps")
        for key in ("tune_every", "tune_steps", "seed"):
            yield key, getattr(self, key) >= 0, "must be >= 0"
        yield "front", *is_one_of(self.front, FRONTS)
        yield "precision", *is_one_of(self.precision or "auto", PRECISIONS)
        yield "threads", self.threads is None or self.threads >= 1, "must be at least 1, or null for all cores"
        yield "bounds", *are_bounds(self.bounds)
