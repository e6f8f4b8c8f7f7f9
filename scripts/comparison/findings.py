"""The numbers of a comparison, from its raw lines alone."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from comparison.plan import Plan
from comparison.variants import Found, read_variants
from nas_reid.genotype import Genotype
from nas_reid.run.compose import settings
from nas_reid.tables import Line, Table
from nas_reid.tables.statistics import kendall_interval, kendall_tau, percentile_of, permutation_p, top_overlap
from nas_reid.tables.table import Variance, body_key


@dataclass(frozen=True)
class Trained:
    """A genotype on the final people: means over its trainings.

    Attributes:
        name: what it is, for the page.
        mAP, validation: on unseen and on validation people, in [0, 1].
        params, macs: of the network with its head.
        seconds: of a processor, of one training.
        error: standard error of ``mAP`` over its trainings; NaN of one.
    """

    name: str
    mAP: float
    validation: float
    params: int
    macs: int
    seconds: float
    error: float

    @staticmethod
    def of(name: str, lines: Sequence[Line]) -> "Trained":
        """From its lines."""
        mAP = [line.mAP for line in lines]
        return Trained(name, fmean(mAP), fmean(line.validation for line in lines), lines[0].params, lines[0].macs,
                       fmean(line.seconds for line in lines),
                       standard_error(mAP))


@dataclass(frozen=True)
class Scorer:
    """How well a supernet, or something cheaper, ranks the table: τ with its interval, the share of the best tenth
    found, and the pairs of (score, stand-alone mAP)."""

    name: str
    tau: float
    low: float
    high: float
    overlap: float
    pairs: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Findings:
    """A whole comparison.

    Attributes:
        searched: one of each search, in the order of the seeds.
        random, equal, hand_made: the others.
        curve: epoch -> what was derived after it, of the first searches.
        scorers: the supernets.
        without_supernet: what ranks the table by itself: its networks' sizes, and their own first epochs.
        variance: between genotypes and seeds, of the table; None where no genotype has several.
        searches: of ``searches.jsonl``, what each search took.
        variants: name -> what another way to search found, on the table's people.
        table: validation mAP of each genotype of the table, in [0, 1].
    """

    plan: Plan
    searched: Sequence[Trained]
    random: Sequence[Trained]
    equal: Sequence[Trained]
    hand_made: Sequence[Trained]
    curve: Mapping[int, Sequence[Trained]]
    scorers: Sequence[Scorer]
    without_supernet: Sequence[Scorer]
    variance: Variance | None
    searches: Sequence[Mapping[str, Any]]
    variants: Mapping[str, Found]
    table: Sequence[float]

    @property
    def percentiles(self) -> list[float]:
        """Of each searched among the random ones, in [0, 1]."""
        return [percentile_of(one.mAP, worth(self.random)) for one in self.searched]

    @property
    def percentile_of_mean(self) -> float:
        """Of the mean searched among the random ones, in [0, 1]."""
        return percentile_of(fmean(worth(self.searched)), worth(self.random))

    @property
    def p(self) -> float:
        """One-sided, that the searched are above the random ones by chance."""
        return permutation_p(worth(self.searched), worth(self.random))

    @property
    def above_equal(self) -> float:
        """Searched minus random of equal cost, in standard errors of that difference; NaN of fewer than two."""
        if min(len(self.searched), len(self.equal)) < 2:
            return float("nan")
        error = math.hypot(*(standard_error(worth(group)) for group in (self.searched, self.equal)))
        return (fmean(worth(self.searched)) - fmean(worth(self.equal))) / error if error else float("nan")

    def above(self, hand_made: str) -> float:
        """Searched minus a hand-made genotype, in standard errors: of the searches, and of its own trainings."""
        one = next(one for one in self.hand_made if one.name == hand_made)
        error = math.hypot(standard_error(worth(self.searched)), one.error)
        return (fmean(worth(self.searched)) - one.mAP) / error if error else float("nan")

    @property
    def affordable(self) -> int:
        """Random genotypes that can be trained in the processor time of a search; at least 1."""
        minutes = fmean(search["processor_minutes"] for search in self.searches)
        return max(1, round(60 * minutes / fmean(one.seconds for one in self.random)))

    @property
    def best_affordable(self) -> float:
        """Expected mAP of the one with the best validation among ``affordable`` random ones, drawn with replacement."""
        order = sorted(self.random, key=lambda one: one.validation)
        below = (np.arange(len(order) + 1) / len(order)) ** self.affordable
        return float(np.dot(worth(order), np.diff(below)))


def standard_error(values: Sequence[float]) -> float:
    """Of their mean; NaN of fewer than two."""
    return stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def worth(group: Sequence[Trained]) -> list[float]:
    """The mAP of each."""
    return [one.mAP for one in group]


def read_findings(plan: Plan, folder: Path) -> Findings:
    """From the raw lines in ``folder``.

    Raises:
        TableError: a table is missing, or does not hold a genotype.
    """
    searched = Table(folder / "searched.jsonl", plan.score_on)

    def trained(seed: int, epoch: int | None = None) -> Trained:
        lines = searched.query(Genotype.load(plan.genotype(folder, seed, epoch))).lines
        return Trained.of(f"seed {seed}", lines)

    random = _each(folder / "random.jsonl", plan)
    table = Table(folder / "random.jsonl" if plan.table == "random" else plan.table, plan.score_on)
    return Findings(
        plan, [trained(seed) for seed in range(plan.searches)], random,
        _each(folder / "equal.jsonl", plan) if plan.equal else [],
        _each(folder / "hand_made.jsonl", plan) if plan.hand_made else [],
        _curve(plan, _last_epoch(plan, folder), trained) if plan.epochs else {},
        [_supernet(name, folder / f"scores_{name}.jsonl", table) for name in ("search", *plan.scorers)],
        _without_supernet(table),
        table.variance_shares() if sum(len(entry.lines) > 1 for entry in table.entries()) > 1 else None,
        [json.loads(line) for line in (folder / "searches.jsonl").read_text().splitlines()],
        read_variants(plan, folder), [entry.validation for entry in table.entries()])


def _last_epoch(plan: Plan, folder: Path) -> int:
    """Of the searches; what a selection chose does not say it, so that then today's experiment has to."""
    if plan.select:
        return settings("search", [*plan.search, *plan.final]).epochs
    return Genotype.load(plan.genotype(folder, 0)).provenance["epoch"]


def _curve(plan: Plan, last: int, trained: Callable[..., Trained]) -> dict[int, list[Trained]]:
    """Epoch, the last one too -> what the first searches had derived after it; ``trained``: (seed, epoch) -> which."""
    seeds = range(min(plan.curves, plan.searches))
    return {epoch: [trained(seed, epoch) for seed in seeds] for epoch in plan.epochs} | {
        last: [trained(seed) for seed in seeds]}


def _each(path: Path, plan: Plan) -> list[Trained]:
    groups: dict[str, list[Line]] = {}
    for line in Table(path, plan.score_on).lines:
        groups.setdefault(body_key(line.genotype), []).append(line)
    return [Trained.of(lines[0].origin, lines) for lines in groups.values()]


def _supernet(name: str, path: Path, table: Table) -> Scorer:
    scores = [json.loads(line)["supernet"] for line in path.read_text().splitlines()]
    return _scorer(name, scores, table)


def _without_supernet(table: Table) -> list[Scorer]:
    """By parameters and MACs, and by validation mAP of the first training after each of its epochs but the last;
    what is the same for all ranks nothing."""
    lines = [entry.lines[0] for entry in table.entries()]
    scores: dict[str, Sequence[float]] = {"parameters": [line.params for line in lines],
                                          "MACs": [line.macs for line in lines]}
    for epoch in sorted(lines[0].curve)[:-1]:
        scores[f"trained alone for {epoch} epochs"] = [line.curve[epoch] for line in lines]
    return [_scorer(name, values, table) for name, values in scores.items() if len(set(values)) > 1]


def _scorer(name: str, scores: Sequence[float], table: Table) -> Scorer:
    """Of the first genotypes of the table: those that there were when ``scores`` were made."""
    truth = [entry.mAP for entry in table.entries()][:len(scores)]
    return Scorer(name, kendall_tau(scores, truth), *kendall_interval(scores, truth), top_overlap(scores, truth),
                  list(zip(scores, truth, strict=True)))
