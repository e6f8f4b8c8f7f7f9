"""What a value of the wrong type should have been."""

from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

_ONE: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a word or a text"}
_MANY: dict[Any, str] = {int: "whole numbers", float: "numbers", bool: "true or false", str: "words"}


def wrong_type(error: OmegaConfBaseException | BaseException | None, schema: type) -> str | None:
    """``epochs=abc must be a whole number``; None of an error that is not about a type.

    Args:
        error: that OmegaConf raised.
        schema: dataclass of the command's configuration.
    """
    if not isinstance(error, ValidationError) or not error.full_key:
        return None
    key, _, entry = str(error.full_key).partition("[")
    kind = _type_of(key, schema)
    if entry:  # of a list
        kind = next(iter(get_args(_without_none(kind))), None)
    expected = None if kind is None else _expected(kind)
    return expected and f"{error.full_key}={_written(error.value)} must be {expected}"


def _type_of(key: str, schema: Any) -> Any:
    """Annotation of a dotted key; None where it is in a part without a schema."""
    for name in key.split("."):
        schema = _without_none(schema)
        schema = get_type_hints(schema).get(name) if is_dataclass(schema) else None
    return schema


def _without_none(kind: Any) -> Any:
    kinds = [one for one in get_args(kind) if one is not NoneType]
    return kinds[0] if get_origin(kind) in (Union, UnionType) and len(kinds) == 1 else kind


def _expected(kind: Any) -> str | None:
    plain = _without_none(kind)
    if get_origin(plain) in (list, tuple):
        inner = _MANY.get(next(iter(get_args(plain)), None), "values")
        words: str | None = f"a list of {inner}, in square brackets"
    elif is_dataclass(plain) or get_origin(plain) is dict or plain is dict:
        words = "a mapping, {key: value}"
    else:
        words = _ONE.get(plain)
    return f"{words}, or null" if words and plain is not kind else words


def _written(value: Any) -> str:
    value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return str({None: "null", True: "true", False: "false"}[value]
               if value is None or isinstance(value, bool) else value)
