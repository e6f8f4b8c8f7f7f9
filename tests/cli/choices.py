"""What the configuration offers, from its registries, and what a run of a command takes of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, reduce
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from nas_reid.config.algorithm import SCHEMES
from nas_reid.data.augment import AUGMENTATIONS
from nas_reid.data.places import PROTOCOLS
from nas_reid.data.source import SAMPLERS
from nas_reid.data.splits import HOLD_OUTS, SPLITS
from nas_reid.evaluation.distance import DISTANCES
from nas_reid.evaluation.dsr import FORMS as DSR_FORMS
from nas_reid.evaluation.variants import VARIANTS
from nas_reid.losses.cross_entropy import SMOOTHING_FORMS
from nas_reid.losses.objective import LOSSES
from nas_reid.losses.weighted_triplet import FORMS as TRIPLET_FORMS
from nas_reid.modules.head import CLASSIFIERS, METRIC_FEATURES, REDUCTIONS
from nas_reid.modules.pooling import POOLINGS
from nas_reid.nas.architect import HESSIANS
from nas_reid.nas.bilevel import ORDERS
from nas_reid.nas.perturbation import PERTURBATIONS
from nas_reid.nas.regularisers import REGULARISERS
from nas_reid.nas.relaxation import RELAXATIONS
from nas_reid.nas.temperature import SCHEDULES as TEMPERATURES
from nas_reid.network.execution import PRECISIONS
from nas_reid.training.optim import OPTIMIZERS, SCHEDULES
from search_spaces.auto_reid.macro import STEMS as CELL_STEMS
from search_spaces.auto_reid.ops import PRIMITIVES
from search_spaces.auto_reid.part_aware import PART_AWARE
from search_spaces.auto_reid.supernet import EXECUTIONS as CELL_EXECUTIONS
from search_spaces.nfs.cells import COMBINATIONS, LEVELS, POSITIONS
from search_spaces.nfs.derive import DERIVATIONS
from search_spaces.osnet_ain.candidates import CANDIDATES
from search_spaces.osnet_ain.convolutions import CONVOLUTIONS
from search_spaces.osnet_ain.fusion import FUSIONS
from search_spaces.osnet_ain.space import EXECUTIONS as BLOCK_EXECUTIONS
from search_spaces.osnet_ain.trunk import STEMS as OSNET_STEMS
from tests.composing import defaults

CONF = Path(__file__).resolve().parents[2] / "conf"
AUGMENTS = {path.stem for path in (CONF / "augment").glob("*.yaml")}
_TRAINING = {"head.pooling": POOLINGS, "head.classifier": CLASSIFIERS, "head.metric_features": METRIC_FEATURES,
             "head.reduction_form": REDUCTIONS, "batch.sampler": SAMPLERS, "validation_by": HOLD_OUTS,
             "evaluation.distance": DISTANCES, "evaluation.protocol": PROTOCOLS,
             "precision": set(PRECISIONS) - {"float32"}}

# Command -> key -> the values that it can have; or, where it names parts, the parts.
OFFERED: dict[str, dict[str, Collection[str]]] = {
    "search": _TRAINING | {
        "algorithm.relaxation": RELAXATIONS, "algorithm.scheme": SCHEMES, "algorithm.hessian": HESSIANS,
        "algorithm.order": ORDERS, "algorithm.regularisers": REGULARISERS, "algorithm.perturbation": PERTURBATIONS,
        "algorithm.temperature.schedule": TEMPERATURES, "split.by": SPLITS,
        "objective.weights": LOSSES, "objective.alphas": LOSSES,
        "weights.name": OPTIMIZERS, "weights.schedule": SCHEDULES,
        "alphas.name": OPTIMIZERS, "alphas.schedule": SCHEDULES},
    "retrain": _TRAINING | {
        "objective": LOSSES, "augment": AUGMENTATIONS, "optimizer.name": OPTIMIZERS, "optimizer.schedule": SCHEDULES,
        "evaluation": VARIANTS},
    "evaluate": {"evaluation.distance": DISTANCES, "evaluation.protocol": PROTOCOLS, "evaluation": VARIANTS},
}
# Space -> argument -> the values that it can have.
SPACE_ARGUMENTS: dict[str, dict[str, Collection[Any]]] = {
    "auto_reid": {"primitives": PRIMITIVES, "part_attention": PART_AWARE, "stem": CELL_STEMS,
                  "execution": CELL_EXECUTIONS},
    "osnet_ain": {"convolution": CONVOLUTIONS, "fusion": FUSIONS, "stem": OSNET_STEMS, "candidates": CANDIDATES,
                  "execution": BLOCK_EXECUTIONS},
    "nfs": {"depth": (18, 34, 50), "last_stride": (1, 2), "position": POSITIONS, "levels": LEVELS,
            "combination": COMBINATIONS, "derivation": DERIVATIONS},
    "norm_sites": {"depth": (18, 34, 50), "last_stride": (1, 2)},
}
FORMS = {("cross_entropy", "smoothing_form"): SMOOTHING_FORMS, ("weighted_triplet", "form"): TRIPLET_FORMS,
         ("dsr", "form"): DSR_FORMS}


def composed(command: str, words: Sequence[str]) -> dict[str, Any]:
    """The configuration of a command line, put together without the time that Hydra takes for it."""
    found = deepcopy(defaults(command))
    for word in words:
        key, value, is_removed = _parsed(word)
        if not is_removed:
            *path, last = key.split(".")
            part = reduce(lambda inner, name: inner.setdefault(name, {}), path, found)
            if (CONF / key / f"{value}.yaml").is_file():
                part[last] = deepcopy(_choice(CONF / key / f"{value}.yaml"))
            else:
                part[last] = merged(part.get(last) or {}, value) if isinstance(value, Mapping) else value
    return found


@cache
def _parsed(word: str) -> tuple[str, Any, bool]:
    override = OverridesParser.create().parse_override(word)
    return override.key_or_group, override.value(), override.is_delete()


@cache
def _choice(path: Path) -> dict[str, Any]:
    """A file of a group with what its ``defaults`` name."""
    own = OmegaConf.to_container(OmegaConf.load(path))
    for name in own.pop("defaults", []):
        own = merged(_choice(path.parent / f"{name}.yaml"), own)
    return own


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """``old`` with the values of ``new``, mapping by mapping."""
    return {**old, **{key: merged(old[key], value) if isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
                      else value for key, value in new.items()}}


def taken(configuration: Mapping[str, Any], key: str) -> Iterator[Any]:
    """The value of a key; of a mapping, the parts that are switched on."""
    value = at(configuration, key)
    if not isinstance(value, Mapping):
        yield value
        return
    for name, arguments in value.items():
        weight = arguments.get("weight", 1) if isinstance(arguments, Mapping) else arguments
        if arguments is not None and weight != 0:
            yield name


def at(configuration: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; None where there is none."""
    for name in key.split("."):
        configuration = configuration.get(name) if isinstance(configuration, Mapping) else None
    return configuration
