"""From a composed configuration to a checked dataclass; nothing else in the package reads a config.

A command's first line is ``settings = load(cfg, SearchConfig)``: from there on there are typed values only.
"""

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from nas_reid.config.schemas import OPEN_KEYS
from nas_reid.config.spelling import did_you_mean, schema_keys
from nas_reid.config.wrong_types import wrong_type
from nas_reid.errors import ConfigError

_Config = TypeVar("_Config")

# ${shorter_than:${epochs},2}: a default of 2 epochs that leaves at least one of few; 0 of one.
OmegaConf.register_new_resolver("shorter_than", lambda epochs, wanted: max(0, min(wanted, epochs - 1)), replace=True)


def schema_node(schema: type) -> DictConfig:
    """A schema as Hydra composes onto it, with its open parts unlocked, so that overrides need no ``+``."""
    node = OmegaConf.structured(schema)
    for key in OPEN_KEYS:
        if _has_open_part(schema, key):
            node = OmegaConf.merge(node, OmegaConf.from_dotlist([f"{key}={{}}"]))
            OmegaConf.set_struct(OmegaConf.select(node, key), False)
    return node


def load(cfg: DictConfig, schema: type[_Config]) -> _Config:
    """The checked dataclass of a composed configuration.

    Raises:
        ConfigError: a missing mandatory value, an unknown key (which a ``+`` gets past Hydra), a wrong type, or a value
            out of range; the message names the key. Values out of range are named all at once.
    """
    try:
        plain = OmegaConf.to_container(cfg, resolve=True)
        settings: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), plain))
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key} must be given: {error.full_key}=VALUE; --help shows examples") from error
    except (ConfigKeyError, ConfigAttributeError) as error:
        raise ConfigError(f"{_plainly(error)}.{did_you_mean(str(error.full_key), schema_keys(schema))}") from error
    except OmegaConfBaseException as error:
        raise ConfigError(wrong_type(error, schema) or _plainly(error)) from error
    if mistakes := list(dict.fromkeys(_mistakes(settings, "", set()))):
        raise ConfigError(mistakes[0] if len(mistakes) == 1 else "\n  ".join([f"{len(mistakes)} mistakes:", *mistakes]))
    return settings


def to_plain(config: Any) -> dict[str, Any]:
    """The configuration as nested dicts, lists and scalars: what checkpoints and trackers keep."""
    plain: Any = OmegaConf.to_container(OmegaConf.structured(config), resolve=True)
    return plain


def _plainly(error: OmegaConfBaseException) -> str:
    """The message without the lines on types inside OmegaConf."""
    return "\n".join(line for line in str(error).splitlines()
                     if not line.strip().startswith(("object_type=", "reference_type=")))


def _has_open_part(schema: type, key: str) -> bool:
    """Whether ``key`` is a part of the schema that is not itself a dataclass."""
    first, _, rest = key.partition(".")
    part: Any = get_type_hints(schema).get(first)
    if rest:
        return isinstance(part, type) and is_dataclass(part) and _has_open_part(part, rest)
    return part is not None and not is_dataclass(part)


def _mistakes(config: Any, prefix: str, wrong: set[str]) -> Iterator[str]:
    """What is wrong, innermost parts first; ``wrong`` collects the keys, each of which is named once."""
    for field in fields(config):
        if is_dataclass(part := getattr(config, field.name)):
            yield from _mistakes(part, f"{prefix}{field.name}.", wrong)
    insane = {f"{key}=": mistake for field in fields(config)
              for key, mistake in _insane_numbers(f"{prefix}{field.name}", getattr(config, field.name))}
    for rule in config.rules() if hasattr(config, "rules") else ():
        if isinstance(rule, ConfigError):
            # Whoever checked a part met such a number: it is named by one of the two.
            if not insane or any(insane.pop(key, "") for key in list(insane) if str(rule).startswith(key)):
                yield str(rule)
        elif not rule[1] and f"{prefix}{rule[0]}" not in wrong:
            wrong.add(f"{prefix}{rule[0]}")
            yield f"{prefix}{rule[0]}={_value(config, rule[0])} {rule[2]}"
    yield from (mistake for key, mistake in insane.items() if key[:-1] not in wrong)


def _insane_numbers(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Keys and what is wrong there: integers that no tensor can hold, NaN and infinities, wherever they are."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _insane_numbers(f"{key}.{name}", inner)
    for number in value if isinstance(value, list | tuple) else [value]:
        if isinstance(number, int) and not -2**63 <= number < 2**63:
            yield key, f"{key}={value} is beyond 64 bits; give a smaller number"
        if isinstance(number, float) and not math.isfinite(number):
            yield key, f"{key}={value} is not finite; give a number"


def _value(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, dict) else getattr(config, name)
    return config
