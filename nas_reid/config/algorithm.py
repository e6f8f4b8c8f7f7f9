"""Types and ranges of a search's algorithm; see ``nas_reid.config.groups``."""

from dataclasses import dataclass
from typing import Any

from nas_reid.config.groups import Rules, is_one_of
from nas_reid.nas.architect import HESSIANS
from nas_reid.nas.bilevel import ORDERS
from nas_reid.nas.paths import LOTS
from nas_reid.nas.perturbation import PERTURBATIONS
from nas_reid.nas.regularisers import REGULARISERS
from nas_reid.nas.relaxation import RELAXATIONS
from nas_reid.nas.temperature import SCHEDULES


@dataclass
class TemperatureConfig:
    """Temperature of the stochastic relaxations over the epochs."""

    schedule: str
    start: float
    end: float
    every: int                     # step schedule: epochs between two halvings

    def rules(self) -> Rules:
        """Refuses an unknown schedule, a temperature that is not positive, and halvings of no epochs."""
        yield "schedule", *is_one_of(self.schedule, SCHEDULES)
        yield "start", self.start > 0, "must be positive"
        yield "end", self.end > 0, "must be positive"
        yield "every", self.every >= 1, "must be at least 1"


SCHEMES = ("first_order", "second_order", "joint", "one_shot", "random")
"""How weights and alphas take turns: two levels; both at once; weights alone, by paths; neither, a genotype by lot."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def are_bounds(bounds: Any) -> tuple[bool, str]:
    """Whether these are bounds of what a genotype costs, and the rule."""
    ranges = bounds.values() if isinstance(bounds, dict) and set(bounds) <= {"params", "macs", "cost"} else [0]
    holds = all(pair is None or (isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair))
                                 and 0 <= pair[0] <= pair[1]) for pair in ranges)
    return holds, "must be {params: [least, most], macs: [least, most], cost: [least, most]}, null for any"


@dataclass
class AlgorithmConfig:
    """How alphas are relaxed and updated."""

    name: str
    relaxation: str
    temperature: TemperatureConfig
    samples: int                   # Monte Carlo samples per step, losses averaged
    scheme: str
    hessian: str                   # second_order only
    order: str
    warmup_epochs: int             # epochs with frozen alphas
    clip_weights: float            # largest gradient norm of the weights; 0 for none
    init_mean: float               # mean of the initial alphas
    init_scale: float              # their standard deviation
    perturbation: str              # of the mixing weights while the weights train
    perturbation_size: list[float]  # half-width of its box in the first and in the last epoch
    perturbation_steps: int        # adversarial only
    regularisers: Any              # name -> weight, or [first, last]
    bounds: Any                    # random only: params, macs: [least, most] of the trunk
    stop_skips: int | None
    stop_none: float | None
    stop_ops: float | None         # OLES: smallest agreement of an op's gradients
    stop_ops_after: int            # steps that it is the mean of

    @property
    def has_one_level(self) -> bool:
        """Whether all images are for weights and alphas alike."""
        return self.scheme in ("joint", "one_shot")

    @property
    def runs_samples_alone(self) -> bool:
        """Whether the sampled ops run alone, others at every step."""
        relaxation = RELAXATIONS.get(self.relaxation)
        return self.scheme == "one_shot" or (relaxation is not None and relaxation.sampled_only)

    def rules(self) -> Rules:
        """Refuses unknown relaxations, schemes and the like, what does not go with them, and ranges."""
        yield "relaxation", *is_one_of(self.relaxation, (*RELAXATIONS, *LOTS))
        yield "scheme", *is_one_of(self.scheme, SCHEMES)
        yield "hessian", *is_one_of(self.hessian, HESSIANS)
        yield "order", *is_one_of(self.order, ORDERS)
        yield ("relaxation", (self.relaxation in LOTS) == (self.scheme == "one_shot"),
               f"and scheme belong together: {' and '.join(LOTS)} draw paths without regard to the alphas, as one_shot "
               "does; choose algorithm=one_shot")
        yield "bounds", *are_bounds(self.bounds)
        yield "samples", self.samples >= 1, "must be at least 1"
        yield "warmup_epochs", self.warmup_epochs >= 0, "must be >= 0"
        yield "clip_weights", self.clip_weights >= 0, "must be >= 0; 0 is off"
        yield "init_scale", self.init_scale >= 0, "must be >= 0"
        yield "stop_skips", self.stop_skips is None or self.stop_skips >= 0, "must be >= 0, or null for no limit"
        yield ("stop_none", self.stop_none is None or 0 <= self.stop_none < 1,
               "must lie in [0, 1), or be null for no limit: it stops above this share")
        yield ("stop_ops", self.stop_ops is None or -1 <= self.stop_ops <= 1,
               "must lie in [-1, 1], or be null for no limit: it is a cosine")
        yield ("stop_ops", self.stop_ops is None or self.scheme == "first_order",
               "compares the gradients of the two levels at the same weights; it needs algorithm.scheme=first_order")
        yield "stop_ops_after", self.stop_ops_after >= 1, "must be at least 1"
        yield from self._perturbation_rules()
        yield ("regularisers", isinstance(self.regularisers, dict) and set(self.regularisers) <= set(REGULARISERS),
               f"names an unknown one; known are: {', '.join(REGULARISERS)}")

    def _perturbation_rules(self) -> Rules:
        yield "perturbation", *is_one_of(self.perturbation, PERTURBATIONS)
        size, is_on = self.perturbation_size, self.perturbation != "none"
        yield ("perturbation_size", len(size) == 2 and all(0 < end <= 1 for end in size),
               "must be two numbers in (0, 1], for the first and the last epoch")
        yield "perturbation_steps", self.perturbation_steps >= 1, "must be at least 1"
        yield ("perturbation", not is_on or self.scheme == "first_order",
               "moves the mixing weights of the weights' own step; it needs algorithm.scheme=first_order")
        relaxation = RELAXATIONS.get(self.relaxation)
        yield ("perturbation", not is_on or relaxation is None or (relaxation.sums_to_one and not relaxation.is_hard),
               f"moves a distribution within a box, which algorithm.relaxation={self.relaxation} does not give; use "
               "softmax, gumbel or dirichlet")
