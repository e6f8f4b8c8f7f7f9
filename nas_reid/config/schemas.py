"""The configuration of each command, as a dataclass. Values live in ``conf/``, types and ranges here and in
``nas_reid.config.groups``; ``nas_reid.config.loading`` checks them."""

from dataclasses import dataclass
from typing import Any

from nas_reid.config.algorithm import AlgorithmConfig
from nas_reid.config.comparison import CompareConfig
from nas_reid.config.deployment import ExportConfig, ExtractConfig, FindConfig
from nas_reid.config.groups import (
    BatchConfig,
    DataConfig,
    EvaluationConfig,
    HeadConfig,
    OptimizerConfig,
    Rules,
    SplitConfig,
    TestConfig,
    is_image_size,
    is_one_of,
    is_share,
)
from nas_reid.config.inspection import InspectConfig
from nas_reid.config.tables import SelectConfig, TabulateConfig
from nas_reid.config.training import PretrainConfig, TrainingConfig, divides, losses_of, step_rules, warmup_rules
from nas_reid.data.splits import HOLD_OUTS
from nas_reid.seed import derive_seed
from nas_reid.training.distillation import build_distillation


@dataclass(kw_only=True)
class RunConfig(TrainingConfig):
    """What search and retrain have in common."""

    data: DataConfig
    batch: BatchConfig
    evaluation: EvaluationConfig
    validation_by: str             # what is held out: identity, camera or official
    validation_fraction: float     # of the training identities or cameras
    validation_seed: int | None    # of the choice of whom; None: the run's

    @property
    def people_seed(self) -> int:
        """Seed of the choice of who is held out."""
        return derive_seed(self.seed if self.validation_seed is None else self.validation_seed, "validation")

    def rules(self) -> Rules:
        """Refuses a hold-out that is none, leaves nobody, or has a seed below 0."""
        yield from super().rules()
        yield "validation_by", *is_one_of(self.validation_by, HOLD_OUTS)
        yield ("validation_seed", self.validation_seed is None or self.validation_seed >= 0,
               "must be >= 0, or null for the run's own seed")
        yield "validation_fraction", *is_share(self.validation_fraction)
        if self.batch.instances >= 1:
            yield "batch.size", *divides(self.batch.identities, "identities")


@dataclass
class SearchObjectives:
    """The objectives of the bilevel problem, chosen separately: each maps losses to arguments and a ``weight``."""

    weights: Any
    alphas: Any


@dataclass
class SearchConfig(RunConfig):
    """``python -m nas_reid.search``."""

    space: Any                     # name, and the constructor arguments of that space
    algorithm: AlgorithmConfig
    objective: SearchObjectives
    split: SplitConfig
    weights: OptimizerConfig
    alphas: OptimizerConfig
    alphas_data: Any               # one data set that the alphas learn from, instead of a part of the search's own
    pretrained: str | None         # file with initial weights of the supernet

    def rules(self) -> Rules:
        """Refuses losses that the batches or the scheme cannot serve, and what second order cannot unroll."""
        yield from super().rules()
        yield ("space", isinstance(self.space, dict) and "name" in self.space,
               "must come from conf/space: space=<name>")
        yield from warmup_rules(self, ("weights", "alphas"))
        yield ("evaluation.batch_size", self.evaluation.batch_size >= 3,
               "must be at least 3, lest a batch be one image: a supernet normalises with the batch's statistics")
        yield ("precision", self.algorithm.scheme != "second_order" or self.precision != "bfloat16",
               "does not go with algorithm.scheme=second_order, whose finite differences vanish in it; use float32")
        yield ("compile", self.algorithm.scheme != "second_order" or self.compile is None,
               "does not go with algorithm.scheme=second_order, which runs the network with other weights; use null")
        yield ("compile", self.compile is None or not self.algorithm.runs_samples_alone,
               f"does not go with algorithm.relaxation={self.algorithm.relaxation}, which runs other ops at every "
               "step, each of which would be compiled anew; use null")
        yield ("weights.name", self.algorithm.scheme != "second_order" or self.weights.name == "sgd",
               "does not go with algorithm.scheme=second_order, which unrolls one step of sgd")
        yield ("weights.nesterov", self.algorithm.scheme != "second_order" or not self.weights.nesterov,
               "does not go with algorithm.scheme=second_order, whose unrolled step is one of plain momentum")
        for key in ("decay_vectors", "bias_lr_factor", "head_lr_factor"):
            yield (f"weights.{key}", self.algorithm.scheme != "second_order" or getattr(self.weights, key) == 1,
                   "does not go with algorithm.scheme=second_order, whose unrolled step treats all weights alike")
        yield from _objective("objective.weights", self.objective.weights, self)
        yield from _objective("objective.alphas", self.objective.alphas, self)
        for name, (_, loss) in losses_of(self.objective.weights, key="objective.weights")[0].items():
            yield (f"objective.weights.{name}",
                   not loss.has_constant_factors or self.algorithm.scheme != "second_order",
                   "does not go with algorithm.scheme=second_order: its gradient holds factors constant, so that "
                   "differentiating it again would be wrong; set its weight to 0 or choose another scheme")
        for name, (_, loss) in losses_of(self.objective.alphas, key="objective.alphas")[0].items():
            yield (f"objective.alphas.{name}.weight",
                   self.algorithm.has_one_level or not loss.learns_identities
                   or (not self.alphas_data and self.split.by not in ("identity", "official")),
                   f"must be 0 with {'alphas_data' if self.alphas_data else 'split.by=' + self.split.by}: the weights "
                   "never learn the alphas' identities")
        yield ("alphas_data", not self.alphas_data or not self.algorithm.has_one_level,
               f"does not go with algorithm.scheme={self.algorithm.scheme}, whose alphas take no steps of their own")


@dataclass
class RetrainConfig(RunConfig):
    """``python -m nas_reid.retrain``."""

    evaluation: TestConfig
    genotype: str
    network: dict[str, Any]        # overrides of the genotype's space arguments
    weights: str | None            # file with initial weights
    fresh_head: bool               # the head starts from its own initial values all the same
    sources: Any                   # further data sets to train on; see nas_reid.run.further_data
    targets: Any                   # data sets to evaluate on without adaptation
    validation_data: Any           # one data set to validate on, instead of held-out images
    freeze_trunk_epochs: int
    drop_path: float
    objective: Any                 # loss -> its arguments, and weight
    teacher: Any                   # checkpoint of a retraining, or several
    teacher_resize: bool
    distillation: Any              # loss between student and teacher -> its arguments, and weight
    optimizer: OptimizerConfig
    clip: float
    accumulate: int
    ema: float
    full_training_set: bool
    false_positive_rate: Any       # of the threshold in the checkpoint: a number, auto or null

    def rules(self) -> Rules:
        """Refuses losses that the batches cannot serve, steps out of range, and validating on nothing and something."""
        yield from super().rules()
        yield from warmup_rules(self, ("optimizer",))
        yield from _objective("objective", self.objective, self)
        yield from losses_of(self.distillation, build=build_distillation)[1]
        yield from step_rules(self.clip, self.accumulate, self.ema, self.drop_path)
        if self.epochs >= 1:
            yield ("freeze_trunk_epochs", 0 <= self.freeze_trunk_epochs < self.epochs,
                   f"must be >= 0 and smaller than epochs={self.epochs}")
        yield ("evaluation.camera_pairs", not self.evaluation.camera_pairs,
               "is for nas_reid.evaluate, which ranks every pair of cameras of a trained checkpoint")
        yield ("fresh_head", not self.fresh_head or self.weights is not None,
               "has no meaning without weights=, from which the head would come")
        yield ("validation_data", not (self.full_training_set and self.validation_data),
               "does not go with full_training_set=true, which validates on nothing")
        yield from self._threshold_rules()

    def _threshold_rules(self) -> Rules:
        rate = self.false_positive_rate
        is_rate = isinstance(rate, int | float) and not isinstance(rate, bool)
        yield ("false_positive_rate", rate in ("auto", None) or (is_rate and 0 < rate < 1),
               "must lie strictly between 0 and 1, or be auto, or null for no threshold")
        yield ("false_positive_rate", not (is_rate and self.full_training_set),
               "does not go with full_training_set=true, which holds nobody out to fit a threshold on; use null")
        yield ("false_positive_rate", not is_rate or self.validation_by != "camera" or bool(self.validation_data),
               "does not go with validation_by=camera, whose people are trained on too; use validation_by=identity")


@dataclass
class EvaluateConfig:
    """``python -m nas_reid.evaluate``."""

    checkpoint: str
    data: DataConfig
    image_size: list[int] | None   # null: the size the network was trained on
    evaluation: TestConfig
    device: str
    channels_last: bool
    threads: int | None

    def rules(self) -> Rules:
        """Refuses an illegal size of images or number of threads."""
        if self.image_size is not None:
            yield "image_size", *is_image_size(self.image_size)
        yield "threads", self.threads is None or self.threads >= 1, "must be at least 1, or null for all cores"


@dataclass
class DescribeConfig:
    """``python -m nas_reid.describe``."""

    genotype: str
    network: dict[str, Any]
    head: HeadConfig
    num_classes: int
    image_size: list[int]

    def rules(self) -> Rules:
        """Refuses an illegal size of images or number of classes."""
        yield "num_classes", 1 <= self.num_classes <= 10**9, "must be at least 1, and at most 10^9"
        yield "image_size", *is_image_size(self.image_size)


SCHEMAS = {"search": SearchConfig, "retrain": RetrainConfig, "evaluate": EvaluateConfig, "describe": DescribeConfig,
           "pretrain": PretrainConfig, "export": ExportConfig, "extract": ExtractConfig, "inspect": InspectConfig,
           "find": FindConfig, "tabulate": TabulateConfig, "select": SelectConfig, "compare": CompareConfig}

OPEN_KEYS = ("space", "network", "augment", "algorithm.regularisers", "data.synthetic", "data.options", "objective",
             "objective.weights", "objective.alphas", "distillation")
"""Parts that take any key: whoever receives them refuses the unknown ones, and its message lists the known ones."""


def _objective(key: str, terms: Any, run: RunConfig) -> Rules:
    """What the losses of an objective ask of the rest of the configuration."""
    losses, errors = losses_of(terms, key=key)
    yield from errors
    for name, (_, loss) in losses.items() if run.batch.instances >= 1 else ():
        yield ("batch.instances", run.batch.instances >= 2 or not loss.needs_pairs,
               f"must be at least 2 for {key}.{name}, which compares images of one identity")
        yield (f"{key}.{name}", run.head.classifier == "cosine" or not loss.needs_cosines,
               "needs the cosines of head.classifier=cosine")
        yield ("batch.size", run.batch.identities >= 2 or not loss.compares_samples,
               f"must be at least twice batch.instances for {key}.{name}, which tells identities of a batch apart")
        yield ("batch.sampler", run.batch.sampler == "modality_pairs" or not loss.needs_modalities,
               f"must be modality_pairs for {key}.{name}, which compares visible with infrared images")
