"""Types and ranges of each group of the configuration; ``schemas`` assembles them and ``loading`` applies the rules.

A group's ``rules()`` yields, per rule, the key below the group, whether the rule holds, and the rule in words; or the
error of whoever checked a part of it. All of them are read, so that one message names all mistakes: a rule that relies
on another one is yielded only where that one holds. Of several rules on one key, the first that does not hold counts.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from nas_reid.config.spelling import did_you_mean
from nas_reid.data.places import PROTOCOLS
from nas_reid.data.source import SAMPLERS
from nas_reid.data.splits import SPLITS
from nas_reid.data.store import ON_CORRUPT
from nas_reid.errors import ConfigError
from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.distance import DISTANCES
from nas_reid.evaluation.variants import Variant, build, build_variants, check_variants
from nas_reid.modules.head import CLASSIFIERS, METRIC_FEATURES, REDUCTIONS
from nas_reid.modules.pooling import POOLINGS
from nas_reid.record.tracking import MODES
from nas_reid.training.optim import OPTIMIZERS, SCHEDULES

Rules = Iterator[tuple[str, bool, str] | ConfigError]


@dataclass
class DataConfig:
    """Where images come from and how they are stored."""

    name: str
    reader: str
    root: str | None
    synthetic: Any                 # keys of SyntheticSpec, or null for real data
    image_size: list[int]          # [height, width]
    cache: str | None
    workers: int
    on_corrupt: str
    options: Any = field(default_factory=dict)  # of the reader: split, version, ...
    table: str | None = None       # file that lists the images, for data=table

    def rules(self) -> Rules:
        """Refuses data without a root, drawn data with one, and an illegal size of images."""
        yield "options", isinstance(self.options, dict), "must hold options of the reader, such as {split: 3}"
        yield "image_size", *is_image_size(self.image_size)
        yield "workers", self.workers >= 1, "must be at least 1"
        yield "on_corrupt", *is_one_of(self.on_corrupt, ON_CORRUPT)
        yield ("table", (self.table is not None) == (self.reader == "table"),
               "goes with data=table, and data=table needs it: data=table data.table=FILE.csv")
        if self.synthetic is None:
            yield ("root", bool(self.root or self.table),
                   "must name the folder of the data set; set it or NAS_REID_DATA, or use data=synthetic")
        else:
            yield "root", self.root is None, ("does not go with drawn data; say what is there: data=table "
                                              "data.table=FILE.csv, data=folder, data=market1501 or another")
            yield "synthetic", isinstance(self.synthetic, dict), "must hold keys of SyntheticSpec, or be null"


@dataclass
class BatchConfig:
    """P x K batches: ``size`` images of which each identity has ``instances``."""

    size: int
    instances: int
    sampler: str

    def rules(self) -> Rules:
        """Refuses sizes that identities times instances cannot make."""
        yield "sampler", *is_one_of(self.sampler, SAMPLERS)
        yield "instances", self.instances >= 1, "must be at least 1"
        yield ("instances", self.sampler != "modality_pairs" or self.instances % 2 == 0,
               "must be even with batch.sampler=modality_pairs: half are visible images, half infrared ones")
        if self.instances >= 1:
            yield ("size", self.size >= 1 and self.size % self.instances == 0,
                   f"must be a positive multiple of batch.instances={self.instances}")

    @property
    def identities(self) -> int:
        """P, the identities in a batch."""
        return self.size // self.instances


@dataclass
class HeadConfig:
    """Arguments of ``modules.head.build_head``; None leaves one to the search space."""

    pooling: str
    gem_power: float               # gem: where it starts; gem_fixed: its value
    reduction: int                 # width; 0 for none
    reduction_form: str
    embedding: int | None
    embedding_norm_relu: bool | None
    dropout: float
    neck: bool
    neck_bias: bool
    metric_features: str           # what metric losses see
    classifier: str
    classifier_bias: bool
    init_std: float | None
    stripes: int                   # of PCB; 1 for none

    def rules(self) -> Rules:
        """Refuses unknown names, and widths and powers out of range."""
        yield "pooling", *is_one_of(self.pooling, POOLINGS)
        yield "reduction_form", *is_one_of(self.reduction_form, REDUCTIONS)
        yield "metric_features", *is_one_of(self.metric_features, METRIC_FEATURES)
        yield "classifier", *is_one_of(self.classifier, CLASSIFIERS)
        yield "gem_power", self.gem_power > 0, "must be positive"
        yield "reduction", 0 <= self.reduction <= 65_536, "must be 0 (none) or a width, at most 65,536"
        yield "stripes", 1 <= self.stripes <= 1_024, "must be 1 (none) or a number of stripes, at most 1,024"
        yield ("embedding", self.embedding is None or 0 <= self.embedding <= 65_536,
               "must be 0 (none) or a width, at most 65,536")
        yield "init_std", self.init_std is None or self.init_std >= 0, "must be >= 0; 0: PyTorch's initial values"
        yield "dropout", 0 <= self.dropout < 1, "must lie in [0, 1)"


@dataclass
class OptimizerConfig:
    """An optimiser and its learning-rate schedule."""

    name: str
    lr: float
    weight_decay: float
    momentum: float                # sgd only
    betas: list[float]             # adam and adamw only
    amsgrad: bool                  # adam and adamw only
    schedule: str
    final_ratio: float             # cosine: lr at the end / lr at the start
    milestones: list[int]          # multi_step: epochs, counted from the start
    gamma: float                   # multi_step: factor at each milestone
    warmup_epochs: float
    warmup_steps: int | None  # instead of warmup_epochs
    warmup_ratio: float  # lr at the start of the warm-up / lr
    flat_epochs: float  # cosine: starts at this epoch
    decay_vectors: bool  # false: no weight decay of biases and norms
    bias_lr_factor: float
    head_lr_factor: float
    nesterov: bool  # sgd only

    def rules(self) -> Rules:
        """Refuses unknown optimisers and schedules, and numbers that they cannot use."""
        yield "name", *is_one_of(self.name, OPTIMIZERS)
        yield "schedule", *is_one_of(self.schedule, SCHEDULES)
        yield "lr", 0 < self.lr < float("inf"), "must be positive"
        yield "weight_decay", self.weight_decay >= 0, "must be >= 0"
        yield "momentum", 0 <= self.momentum < 1, "must lie in [0, 1)"
        yield ("nesterov", not self.nesterov or (self.name == "sgd" and self.momentum > 0),
               "is a form of sgd with momentum; it needs name=sgd and a momentum above 0")
        yield ("betas", len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
               "must be two numbers in [0, 1)")
        yield "final_ratio", self.final_ratio >= 0, "must be >= 0"
        yield "milestones", self.milestones == sorted(set(self.milestones)), "must increase"
        yield ("milestones", bool(self.milestones) or self.schedule != "multi_step",
               "must name at least one epoch for schedule=multi_step, such as [10,15]")
        yield "milestones", all(epoch >= 1 for epoch in self.milestones), "must be epochs after the start, 1 or later"
        yield "gamma", self.gamma > 0, "must be positive"
        yield "warmup_epochs", self.warmup_epochs >= 0, "must be >= 0"
        yield ("warmup_steps", self.warmup_steps is None or self.warmup_steps >= 0,
               "must be >= 0, or null for warmup_epochs")
        yield "warmup_ratio", 0 <= self.warmup_ratio <= 1, "must lie in [0, 1]"
        yield "flat_epochs", self.flat_epochs >= 0, "must be >= 0"
        yield "bias_lr_factor", self.bias_lr_factor > 0, "must be positive"
        yield "head_lr_factor", self.head_lr_factor > 0, "must be positive"


@dataclass
class SplitConfig:
    """The search's own split of the training images: one part for weights, one for alphas."""

    by: str
    weights_fraction: float

    def rules(self) -> Rules:
        """Refuses an unknown way to split, and a half that is nothing or everything."""
        yield "by", *is_one_of(self.by, SPLITS)
        yield "weights_fraction", *is_share(self.weights_fraction)


@dataclass
class EvaluationConfig:
    """How embeddings are compared."""

    every: int                     # epochs between two validations; the last epoch always validates
    distance: str
    flip: bool
    batch_size: int
    single_gallery_shot: bool  # CMC of CUHK03's classic protocol
    protocol: str | None = field(default=None, kw_only=True)  # whether the query's own camera counts; null: as the data

    def rules(self) -> Rules:
        """Refuses an unknown distance, and batches or pauses of nothing."""
        yield "distance", *is_one_of(self.distance, DISTANCES)
        if self.protocol is not None:
            yield "protocol", *is_one_of(self.protocol, PROTOCOLS)
        yield "every", self.every >= 1, "must be at least 1"
        yield "batch_size", self.batch_size >= 1, "must be at least 1"


@dataclass
class TestConfig(EvaluationConfig):
    """How query and gallery are evaluated at the end; the metrics that choose a checkpoint use none of this."""

    rerank: Any  # arguments of a variant of nas_reid.evaluation.variants, or null
    query_expansion: Any
    transductive_expansion: Any
    dsr: Any
    bootstrap: Any  # arguments of nas_reid.evaluation.bootstrap, or null
    roc: bool  # also verification: ROC and TPR at fixed FPR
    camera_pairs: bool  # also every pair of cameras by itself; evaluate only

    def rules(self) -> Rules:
        """The ways to rank and the intervals must be ones that there are, with arguments that they have."""
        yield from super().rules()
        for build_what in (self.variants, self.intervals):
            try:
                build_what()
            except ConfigError as error:
                yield error

    def intervals(self) -> Bootstrap | None:
        """How to resample identities, if at all."""
        return None if self.bootstrap is None else build("bootstrap", Bootstrap, self.bootstrap)

    def variants(self) -> dict[str, Variant]:
        """The other ways to rank that are switched on."""
        variants = build_variants(vars(self))
        check_variants(variants, distance=self.distance)
        return variants


@dataclass
class WandbConfig:
    """The wandb mirror of ``metrics.jsonl``; the files in the run folder are the record."""

    mode: str
    project: str
    group: str | None
    tags: list[str]

    def rules(self) -> Rules:
        """Refuses an unknown mode."""
        ok, rule = is_one_of(self.mode, MODES)
        yield "mode", ok, f"{rule} (WANDB_MODE sets it too)"


def is_one_of(value: str, known: Collection[str]) -> tuple[bool, str]:
    """Whether a name is known, and the rule that lists the known ones."""
    wish = did_you_mean(str(value), known)
    return value in known, f"is unknown; known are: {', '.join(known)}{'.' if wish else ''}{wish}"


def is_share(value: float) -> tuple[bool, str]:
    """Whether this parts a data set in two: nobody means less than a thousandth of it."""
    return 0.001 <= value <= 0.999, "must lie strictly between 0 and 1, and leave each side at least a thousandth"


_MOST_PIXELS = 8_192
"""Of a side: images of people are a hundred times as small, and a slip of the finger must not ask for terabytes."""


def is_image_size(size: list[int]) -> tuple[bool, str]:
    """Whether this is a height and a width."""
    return (len(size) == 2 and all(0 < side <= _MOST_PIXELS for side in size),
            f"must be two positive integers, [height,width], of at most {_MOST_PIXELS:,}")
