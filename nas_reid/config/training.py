"""Types and ranges of a training, of whatever kind, and of a pre-training; see ``nas_reid.config.schemas``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nas_reid.config.groups import HeadConfig, OptimizerConfig, Rules, WandbConfig, is_image_size, is_one_of
from nas_reid.errors import ConfigError
from nas_reid.losses.objective import build_losses
from nas_reid.network.execution import COMPILE_MODES, PRECISIONS
from nas_reid.parallel.processes import world

Losses = dict[str, tuple[float, Any]]
"""Name -> weight and loss."""


@dataclass(kw_only=True)
class TrainingConfig:
    """What every command that trains has."""

    augment: Any                   # name -> arguments, in the order of application
    head: HeadConfig
    wandb: WandbConfig
    epochs: int
    seed: int
    device: str
    channels_last: bool
    precision: str
    compile: str | None
    deterministic: bool
    sync_norms: bool
    threads: int | None
    resume: str

    def rules(self) -> Rules:
        """Refuses no epochs, and an unknown precision, mode of compilation or way to resume."""
        yield "epochs", self.epochs >= 1, "must be at least 1"
        yield "seed", self.seed >= 0, "must be >= 0"
        yield "precision", *is_one_of(self.precision, PRECISIONS)
        yield ("compile", self.compile is None or self.compile in COMPILE_MODES,
               f"must be null or a mode of torch.compile: {', '.join(COMPILE_MODES)}")
        yield ("compile", self.compile is None or not self.sync_norms or world() == 1,
               f"does not go with norms of the whole batch in {world()} processes; use null, or sync_norms=false")
        yield "threads", self.threads is None or self.threads >= 1, "must be at least 1, or null for all cores"
        yield "resume", *is_one_of(self.resume, ("auto", "never", "extend"))
        yield "augment", isinstance(self.augment, dict), "must come from conf/augment: augment=<name>"


@dataclass
class ClassImagesConfig:
    """Where the images of a pre-training come from."""

    root: str | None               # folder with train/<class>/ and val/<class>/; null: drawn pedestrians
    synthetic: Any                 # keys of SyntheticSpec, for these
    image_size: list[int]          # [height, width] of what the network sees
    cache: str | None
    workers: int                   # threads that decode and augment

    def rules(self) -> Rules:
        """Refuses an illegal size of images, no workers, and drawn people that are no mapping."""
        yield "image_size", *is_image_size(self.image_size)
        yield "workers", self.workers >= 1, "must be at least 1"
        yield "synthetic", isinstance(self.synthetic, dict), "must hold keys of SyntheticSpec"


@dataclass
class CropConfig:
    """Which part of an image is seen: a random one in training, the centre in validation."""

    scale: list[float]             # smallest and largest share of the image's area
    ratio: list[float]             # narrowest and widest shape, relative to that of image_size
    centre: float                  # side of the validation's crop relative to the largest one

    def rules(self) -> Rules:
        """Refuses shares and shapes that are no increasing pair, and a centre outside (0, 1]."""
        for key, largest in (("scale", 1.0), ("ratio", float("inf"))):
            value = getattr(self, key)
            yield (key, len(value) == 2 and 0 < value[0] <= value[1] <= largest and value[1] < float("inf"),
                   "must be two positive numbers, the first not above the second"
                   + (", at most 1" if key == "scale" else ""))
        yield "centre", 0 < self.centre <= 1, "must lie in (0, 1]"


@dataclass(kw_only=True)
class PretrainConfig(TrainingConfig):
    """``python -m nas_reid.pretrain``."""

    genotype: str
    network: dict[str, Any]        # overrides of the genotype's space arguments
    data: ClassImagesConfig
    crop: CropConfig
    batch_size: int
    objective: Any                 # loss -> its arguments, and weight
    optimizer: OptimizerConfig
    drop_path: float
    clip: float
    accumulate: int
    ema: float

    def rules(self) -> Rules:
        """Refuses losses that compare images, which come one by one here, and steps out of range."""
        yield from super().rules()
        yield from warmup_rules(self, ("optimizer",))
        yield "batch_size", self.batch_size >= 2, "must be at least 2"
        yield "batch_size", *divides(self.batch_size, "images")
        yield from step_rules(self.clip, self.accumulate, self.ema, self.drop_path)
        yield "head.stripes", self.head.stripes == 1, "must be 1: an image has one class, not one for each stripe"
        losses, errors = losses_of(self.objective)
        yield from errors
        for name, (_, loss) in losses.items():
            yield (f"objective.{name}", not loss.needs_pairs and not loss.compares_samples,
                   "compares images of one batch, which are drawn one by one here; use cross_entropy")
            yield (f"objective.{name}", self.head.classifier == "cosine" or not loss.needs_cosines,
                   "needs the cosines of head.classifier=cosine")


def divides(number: int, of_what: str) -> tuple[bool, str]:
    """Whether each process has an equal part of a batch of so many, and if not, why that is refused."""
    return number % world() == 0, (f"is that of all {world()} processes, which cannot share {number} {of_what} "
                                   "equally; make it a multiple, or start as many processes as divide it")


def step_rules(clip: float, accumulate: int, ema: float, drop_path: float) -> Rules:
    """Ranges of what a step of a fixed network's training does."""
    yield "clip", clip >= 0, "must be >= 0; 0 is off"
    yield "accumulate", accumulate >= 1, "must be at least 1"
    yield "ema", 0 <= ema < 1, "must lie in [0, 1); 0 is off"
    yield "drop_path", 0 <= drop_path < 1, "must lie in [0, 1)"


def warmup_rules(run: TrainingConfig, optimizers: tuple[str, ...]) -> Rules:
    """Whether warm-ups end before the training does."""
    for name in optimizers if run.epochs >= 1 else ():
        for key in ("warmup_epochs", "flat_epochs"):
            length = getattr(getattr(run, name), key)
            yield f"{name}.{key}", length < run.epochs, f"must be smaller than epochs={run.epochs}"


def losses_of(terms: Any, *, build: Callable[..., Losses] = build_losses,
              **arguments: str) -> tuple[Losses, list[ConfigError]]:
    """What ``build(terms, **arguments)`` gives, or the error that it raises."""
    try:
        return build(terms, **arguments), []
    except ConfigError as error:
        return {}, [error]
