"""The key that a misspelt one was meant to be."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, get_type_hints

_SHOWN = 3


def nearest_keys(key: str, known: Iterable[str]) -> list[str]:
    """At most three dotted keys, the likeliest first: the same last part elsewhere, else a similar spelling.

    Args:
        key: dotted, unknown.
        known: dotted keys.
    """
    known, last = list(known), key.rpartition(".")[2]
    if elsewhere := [other for other in known if other.rpartition(".")[2] == last]:
        return elsewhere[:_SHOWN]
    if close := get_close_matches(key, known, n=1, cutoff=0.75):
        return close
    parts = get_close_matches(last, {other.rpartition(".")[2] for other in known}, n=1, cutoff=0.75)
    return [other for other in known if other.rpartition(".")[2] in parts][:_SHOWN]


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """`` Did you mean …?``, or nothing where no key is like this one."""
    found = nearest_keys(key, known)
    return f" Did you mean {' or '.join(found)}?" if found else ""


def flat_keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted keys of nested mappings, inner nodes included."""
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat_keys(value, f"{prefix}{key}.")


def schema_keys(schema: type, prefix: str = "") -> Iterator[str]:
    """The dotted keys of a dataclass and of those inside it."""
    kinds = get_type_hints(schema)
    for field in fields(schema):
        yield f"{prefix}{field.name}"
        if is_dataclass(kinds[field.name]):
            yield from schema_keys(kinds[field.name], f"{prefix}{field.name}.")
