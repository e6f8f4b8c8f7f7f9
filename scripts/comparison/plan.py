"""What a comparison consists of: ``comparison/plans.toml``, or a file of your own with the same keys."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from nas_reid.errors import ConfigError

PLANS = Path(__file__).with_name("plans.toml")


@dataclass(frozen=True)
class Variant:
    """Another way to search.

    Attributes:
        search: overrides of nas_reid.search on top of the plan's.
        select: overrides of a nas_reid.select that then chooses on the supernet; None: what the search derived.
        on: the variant whose supernet ``select`` takes, in place of a search of its own.
    """

    search: Sequence[str] = ()
    select: Sequence[str] | None = None
    on: str | None = None


@dataclass(frozen=True)
class Plan:
    """The comparison of one space.

    Attributes:
        space: its name.
        search: overrides of nas_reid.search; every seed from 0 to ``searches`` - 1 is run and reported.
        select: overrides of a nas_reid.select that then chooses on the supernet; empty: what the search derived.
        recipe: overrides of nas_reid.retrain under which everything is trained, as of the space's table.
        start: overrides of a nas_reid.search whose supernet's weights every training of the comparison starts from, the
            searched's, those by lot and the hand-made's alike; empty: random weights. It sees the people that the
            trainings see.
        pretrained: whether every search starts from these weights, too.
        lots: overrides of the space that genotypes by lot are of; empty: those of the searches.
        final: further overrides of both, that put other people in the place of those whom tuning looked at.
        tuned: overrides of nas_reid.search, that let it see the people of ``recipe``: where variants are compared.
        variants: name -> another way to search, compared with ``variant_seeds`` seeds each by validation mAP.
        table: of trainings under ``recipe``, to be ranked by supernets: a file, the name of a space, or ``random``, the
            random genotypes of the comparison itself.
        scorers: name -> another supernet that ranks the table, beside that of ``search`` itself; ``select`` has
            overrides of its ranking, ``on`` can be ``search``. They see the people of ``recipe``.
        score_on: test sets whose mean mAP is compared; empty: all.
        hand_made: published genotypes.
        searches, random, equal: numbers of searches, of genotypes by lot, and of those that cost what the searched do.
        equal_by: in what these are equal: ``params`` of the trunk, or ``cost``, that of the choices as the space
            declares it.
        tolerance: largest relative difference of equal ones.
        repeats: trainings of each searched and hand-made genotype, with different seeds.
        epochs: after which the genotype that each of the first ``curves`` searches derives is trained too; with
            ``select``, what is chosen after searches of so many epochs.
        curves: see ``epochs``.
        percentile: that the mean searched genotype must reach among random ones, in [0, 1].
        standard_errors: by which the searched must be above random ones of equal cost.
        above: hand-made genotype -> standard errors by which the searched must be above it.
        tau, tau_low: that Kendall's tau of the best scorer, and the lower end of its interval, must reach.
        tuning: what was tried before, each a sentence for the page.
    """

    space: str
    search: Sequence[str]
    recipe: Sequence[str]
    final: Sequence[str]
    table: str
    select: Sequence[str] = ()
    start: Sequence[str] = ()
    pretrained: bool = False
    lots: Sequence[str] = ()
    tuned: Sequence[str] = ()
    variants: Mapping[str, Variant] = field(default_factory=dict)
    variant_seeds: int = 3
    scorers: Mapping[str, Variant] = field(default_factory=dict)
    score_on: Sequence[str] = ()
    hand_made: Sequence[str] = ()
    searches: int = 8
    random: int = 24
    equal: int = 8
    equal_by: str = "params"
    tolerance: float = 0.05
    repeats: int = 1
    epochs: Sequence[int] = ()
    curves: int = 4
    percentile: float = 0.85
    standard_errors: float = 2.0
    above: Mapping[str, float] = field(default_factory=dict)
    tau: float = 0.5
    tau_low: float = 0.3
    tuning: Sequence[str] = ()

    def genotypes(self, folder: Path) -> list[Path]:
        """Where the searched genotypes are kept, ``search<seed>.json``, then those of earlier epochs."""
        return [self.genotype(folder, seed) for seed in range(self.searches)] + [
            self.genotype(folder, seed, epoch) for seed in range(min(self.curves, self.searches))
            for epoch in self.epochs]

    @property
    def equal_in(self) -> str:
        """``equal_by`` in words."""
        return {"params": "parameters", "cost": "declared cost"}[self.equal_by]

    @staticmethod
    def genotype(folder: Path, seed: int, epoch: int | None = None) -> Path:
        """The file of what a search derives, at its end or after an epoch counted from 1."""
        return folder / "genotypes" / f"search{seed}{'' if epoch is None else f'_epoch{epoch:03d}'}.json"

    @staticmethod
    def variant_genotype(folder: Path, name: str, seed: int) -> Path:
        """The file of what a variant found."""
        return folder / "genotypes" / "variants" / f"{name}_{seed}.json"


def read_plan(space: str, path: Path = PLANS, *, quick: bool = False) -> Plan:
    """The plan of a space; ``quick`` puts its part ``quick`` over the rest.

    Raises:
        ConfigError: the file cannot be read, or has no such plan, or a key that a plan does not have.
    """
    try:
        plans: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the plans {path}: {error}") from None
    if space not in plans:
        raise ConfigError(f"{path} has no plan of {space!r}; it has: {', '.join(plans)}")
    values = dict(plans[space])
    small = values.pop("quick", None)
    if quick and small is None:
        raise ConfigError(f"the plan of {space} has no part [{space}.quick]; such a part is in: "
                          f"{', '.join(name for name, plan in plans.items() if 'quick' in plan) or 'none'}")
    values |= small if quick else {}
    known = {each.name for each in fields(Plan)} - {"space"}
    if unknown := sorted(set(values) - known):
        raise ConfigError(f"the plan of {space} has the unknown keys {', '.join(unknown)}; known are: "
                          f"{', '.join(sorted(known))}")
    try:
        for key in ("variants", "scorers"):
            values[key] = {name: Variant(**words) for name, words in values.get(key, {}).items()}
        plan = Plan(space, **values)
    except TypeError as error:
        raise ConfigError(f"the plan of {space} lacks a key, or a variant has one too many: {error}") from None
    if strange := sorted(set(plan.above) - set(plan.hand_made)):
        raise ConfigError(f"the plan of {space} has above={', '.join(strange)}, which hand_made does not list")
    if plan.above and plan.repeats < 2:
        raise ConfigError(f"the plan of {space} has above= and repeats={plan.repeats}; the error of a hand-made "
                          "genotype needs two trainings or more")
    if plan.pretrained and not plan.start:
        raise ConfigError(f"the plan of {space} has pretrained=true and no start=, whose weights these would be")
    if plan.equal_by not in ("params", "cost"):
        raise ConfigError(f"the plan of {space} has equal_by={plan.equal_by!r}; expected params or cost")
    for variants, known in ((plan.variants, set(plan.variants)), (plan.scorers, {"search", *plan.scorers})):
        for name, variant in variants.items():
            if variant.on is not None and (variant.on not in known or variant.select is None):
                raise ConfigError(f"{name} of {space} stands on {variant.on!r}; it needs select= and the name of "
                                  f"another one: {', '.join(sorted(known))}")
    return plan
