"""Types and ranges of the configuration. Values live in ``conf/``; nothing else in the package reads a config.

A command's first line is ``config = load(cfg, SearchConfig)``: from there on there is a checked dataclass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_reid.errors import ConfigError
from nas_reid.optim import OPTIMIZERS, SCHEDULES


def _require(condition: bool, key: str, value: object, rule: str) -> None:
    if not condition:
        raise ConfigError(f"{key}={value} {rule}")


@dataclass
class DataConfig:
    """Where images come from and how they are stored."""

    name: str = MISSING
    reader: str = MISSING
    root: str | None = MISSING
    synthetic: Any = MISSING                 # keys of SyntheticSpec, or null for real data
    image_size: list[int] = MISSING          # [height, width]
    cache: str | None = MISSING
    workers: int = MISSING
    on_corrupt: str = MISSING

    def __post_init__(self) -> None:
        size = self.image_size
        _require(len(size) == 2 and all(side > 0 for side in size), "data.image_size", size,
                 "must be two positive integers, [height,width]")
        _require(self.workers >= 1, "data.workers", self.workers, "must be at least 1")
        _require(self.on_corrupt in ("error", "skip"), "data.on_corrupt", self.on_corrupt, "must be error or skip")
        _require(self.root is not None or self.synthetic is not None, "data.root", self.root,
                 "must name the folder of the data set (or set NAS_REID_DATA, or use data=synthetic)")


@dataclass
class BatchConfig:
    """P x K batches: ``size`` images of which each identity has ``instances``."""

    size: int = MISSING
    instances: int = MISSING

    def __post_init__(self) -> None:
        _require(self.instances >= 1, "batch.instances", self.instances, "must be at least 1")
        _require(self.size >= 1 and self.size % self.instances == 0, "batch.size", self.size,
                 f"must be a positive multiple of batch.instances={self.instances}")

    @property
    def identities(self) -> int:
        """P, the identities in a batch."""
        return self.size // self.instances


@dataclass
class HeadConfig:
    """Arguments of ``modules.head.Head``."""

    pooling: str = MISSING
    embedding: int = MISSING
    dropout: float = MISSING
    neck: bool = MISSING

    def __post_init__(self) -> None:
        _require(self.embedding >= 0, "head.embedding", self.embedding, "must be 0 (none) or a width")
        _require(0 <= self.dropout < 1, "head.dropout", self.dropout, "must lie in [0, 1)")


@dataclass
class ObjectiveConfig:
    """Auto-ReID's Eq. 5: ``identity_weight`` * cross-entropy + (1 - ``identity_weight``) * triplet."""

    identity_weight: float = MISSING
    margin: float | None = MISSING           # null: soft margin
    smoothing: float = MISSING

    def __post_init__(self) -> None:
        _require(0 <= self.identity_weight <= 1, "objective.identity_weight", self.identity_weight,
                 "must lie in [0, 1]: 1 is cross-entropy alone, 0 is triplet alone")
        _require(self.margin is None or self.margin >= 0, "objective.margin", self.margin,
                 "must be >= 0, or null for the soft margin")
        _require(0 <= self.smoothing < 1, "objective.smoothing", self.smoothing, "must lie in [0, 1)")


@dataclass
class OptimizerConfig:
    """An optimiser and its learning-rate schedule."""

    name: str = MISSING
    lr: float = MISSING
    weight_decay: float = MISSING
    momentum: float = MISSING                # sgd only
    betas: list[float] = MISSING             # adam and adamw only
    schedule: str = MISSING
    final_ratio: float = MISSING             # cosine: lr at the end / lr at the start
    milestones: list[int] = MISSING          # multi_step: epochs, counted from the start
    gamma: float = MISSING                   # multi_step: factor at each milestone
    warmup_epochs: float = MISSING

    def __post_init__(self) -> None:
        for key, value, known in (("optimizer", self.name, OPTIMIZERS), ("schedule", self.schedule, SCHEDULES)):
            _require(value in known, key, value, f"is unknown; known are: {', '.join(known)}")
        _require(self.lr > 0, "lr", self.lr, "must be positive")
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "must be >= 0")
        _require(len(self.betas) == 2, "betas", self.betas, "must be two numbers")


@dataclass
class TemperatureConfig:
    """Temperature of the stochastic relaxations over the epochs."""

    schedule: str = MISSING
    start: float = MISSING
    end: float = MISSING
    every: int = MISSING                     # step schedule: epochs between two halvings

    def __post_init__(self) -> None:
        _require(self.start > 0 and self.end > 0, "algorithm.temperature", (self.start, self.end), "must be positive")


@dataclass
class AlgorithmConfig:
    """How alphas are relaxed and updated."""

    name: str = MISSING
    relaxation: str = MISSING
    temperature: TemperatureConfig = MISSING
    samples: int = MISSING                   # Monte Carlo samples per step, losses averaged
    scheme: str = MISSING
    hessian: str = MISSING                   # second_order only
    order: str = MISSING
    warmup_epochs: int = MISSING             # epochs with frozen alphas
    clip_weights: float = MISSING            # largest gradient norm of the weights; 0 for none
    init_scale: float = MISSING              # standard deviation of the initial alphas
    regularisers: Any = MISSING              # name -> weight, or [first, last]
    stop_skips: int | None = MISSING
    stop_none: float | None = MISSING

    def __post_init__(self) -> None:
        _require(self.scheme in ("first_order", "second_order", "joint"), "algorithm.scheme", self.scheme,
                 "is unknown; known are: first_order, second_order, joint")
        _require(self.hessian in ("finite_difference", "exact"), "algorithm.hessian", self.hessian,
                 "is unknown; known are: finite_difference, exact")
        _require(self.order in ("alphas_first", "weights_first"), "algorithm.order", self.order,
                 "is unknown; known are: alphas_first, weights_first")
        _require(self.samples >= 1, "algorithm.samples", self.samples, "must be at least 1")
        _require(self.warmup_epochs >= 0, "algorithm.warmup_epochs", self.warmup_epochs, "must be >= 0")
        _require(self.clip_weights >= 0, "algorithm.clip_weights", self.clip_weights, "must be >= 0; 0 is off")


@dataclass
class SplitConfig:
    """The search's own split of the training images: one part for weights, one for alphas."""

    by: str = MISSING
    weights_fraction: float = MISSING

    def __post_init__(self) -> None:
        _require(self.by in ("image", "identity"), "split.by", self.by, "is unknown; known are: image, identity")
        _require(0 < self.weights_fraction < 1, "split.weights_fraction", self.weights_fraction,
                 "must lie strictly between 0 and 1")


@dataclass
class EvaluationConfig:
    """How embeddings are compared."""

    every: int = MISSING                     # epochs between two validations; the last epoch always validates
    distance: str = MISSING
    flip: bool = MISSING
    batch_size: int = MISSING

    def __post_init__(self) -> None:
        _require(self.distance in ("euclidean", "cosine"), "evaluation.distance", self.distance,
                 "is unknown; known are: euclidean, cosine")
        _require(self.every >= 1 and self.batch_size >= 1, "evaluation.every/batch_size",
                 (self.every, self.batch_size), "must be at least 1")


@dataclass
class WandbConfig:
    """The wandb mirror of ``metrics.jsonl``; the files in the run folder are the record."""

    mode: str = MISSING
    project: str = MISSING
    group: str | None = MISSING
    tags: list[str] = MISSING

    def __post_init__(self) -> None:
        _require(self.mode in ("offline", "online", "disabled"), "wandb.mode", self.mode,
                 "is unknown; known are: offline, online, disabled (WANDB_MODE sets it too)")


@dataclass
class RunConfig:
    """What search and retrain have in common."""

    data: DataConfig = MISSING
    augment: Any = MISSING                   # name -> arguments, in the order of application
    head: HeadConfig = MISSING
    batch: BatchConfig = MISSING
    evaluation: EvaluationConfig = MISSING
    wandb: WandbConfig = MISSING
    validation_fraction: float = MISSING     # of the training identities
    epochs: int = MISSING
    seed: int = MISSING
    device: str = MISSING
    channels_last: bool = MISSING
    threads: int | None = MISSING
    resume: str = MISSING
    experiment: str | None = None

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "epochs", self.epochs, "must be at least 1")
        _require(0 < self.validation_fraction < 1, "validation_fraction", self.validation_fraction,
                 "must lie strictly between 0 and 1")
        _require(self.seed >= 0, "seed", self.seed, "must be >= 0")
        _require(self.resume in ("auto", "never"), "resume", self.resume, "is unknown; known are: auto, never")


@dataclass
class SearchObjectives:
    """The two losses of the bilevel problem, chosen separately."""

    weights: ObjectiveConfig = MISSING
    alphas: ObjectiveConfig = MISSING


@dataclass
class SearchConfig(RunConfig):
    """``python -m nas_reid.search``."""

    space: Any = MISSING                     # name, and the constructor arguments of that space
    algorithm: AlgorithmConfig = MISSING
    objective: SearchObjectives = MISSING
    split: SplitConfig = MISSING
    weights: OptimizerConfig = MISSING
    alphas: OptimizerConfig = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(isinstance(self.space, dict) and "name" in self.space, "space", self.space,
                 "must come from conf/space: space=<name>")
        _require(self.algorithm.scheme != "second_order" or self.weights.name == "sgd", "weights.name",
                 self.weights.name, "does not go with algorithm.scheme=second_order, which unrolls one step of sgd")
        _require(self.split.by != "identity" or self.objective.alphas.identity_weight == 0,
                 "objective.alphas.identity_weight", self.objective.alphas.identity_weight,
                 "must be 0 with split.by=identity: the classifier never learns the alphas' identities")


@dataclass
class RetrainConfig(RunConfig):
    """``python -m nas_reid.retrain``."""

    genotype: str = MISSING
    network: dict[str, Any] = MISSING        # overrides of the genotype's space arguments
    drop_path: float = MISSING
    objective: ObjectiveConfig = MISSING
    optimizer: OptimizerConfig = MISSING
    clip: float = MISSING
    full_training_set: bool = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.clip >= 0, "clip", self.clip, "must be >= 0; 0 is off")
        _require(0 <= self.drop_path < 1, "drop_path", self.drop_path, "must lie in [0, 1)")


@dataclass
class EvaluateConfig:
    """``python -m nas_reid.evaluate``."""

    checkpoint: str = MISSING
    data: DataConfig = MISSING
    image_size: list[int] | None = MISSING   # null: the size the network was trained on
    evaluation: EvaluationConfig = MISSING
    device: str = MISSING
    channels_last: bool = MISSING
    threads: int | None = MISSING


@dataclass
class DescribeConfig:
    """``python -m nas_reid.describe``."""

    genotype: str = MISSING
    network: dict[str, Any] = MISSING
    head: HeadConfig = MISSING
    num_classes: int = MISSING
    image_size: list[int] = MISSING

    def __post_init__(self) -> None:
        _require(self.num_classes >= 1, "num_classes", self.num_classes, "must be at least 1")
        _require(len(self.image_size) == 2 and all(side > 0 for side in self.image_size), "image_size",
                 self.image_size, "must be two positive integers, [height,width]")


SCHEMAS = {"search": SearchConfig, "retrain": RetrainConfig, "evaluate": EvaluateConfig, "describe": DescribeConfig}

_Config = TypeVar("_Config")


def register_schemas() -> None:
    """Give Hydra the schemas ``<command>_schema``. ``network`` takes any key: the space checks them."""
    for command, schema in SCHEMAS.items():
        node = OmegaConf.structured(schema)
        if "network" in schema.__dataclass_fields__:
            node.network = {}
            OmegaConf.set_struct(node.network, False)
        ConfigStore.instance().store(name=f"{command}_schema", node=node)


def config_dir() -> str:
    """Folder of the configuration: inside the package in an installed wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return str(installed if installed.is_dir() else package.parent / "conf")


def load(cfg: DictConfig, schema: type[_Config]) -> _Config:
    """The checked dataclass of a composed configuration.

    Raises:
        ConfigError: a missing mandatory value, a wrong type, or a value out of range; the message names the key.
    """
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), cfg))
    except OmegaConfBaseException as error:
        cause = error.__cause__ if isinstance(error.__cause__, ConfigError) else error
        raise ConfigError(str(cause)) from error


def to_plain(config: Any) -> dict[str, Any]:
    """The configuration as nested dicts, lists and scalars: what checkpoints and trackers keep."""
    return OmegaConf.to_container(OmegaConf.structured(config), resolve=True)


def differing_keys(saved: Mapping[str, Any], current: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys whose values differ, as ``key: saved -> current``."""
    changes = []
    for key in sorted(set(saved) | set(current)):
        old, new = saved.get(key), current.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += differing_keys(old, new, f"{prefix}{key}.")
        elif old != new:
            changes.append(f"{prefix}{key}: {old} -> {new}")
    return changes

