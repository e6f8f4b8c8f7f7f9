"""Options of the readers: which there are, and their values."""

from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import Any

from nas_reid.errors import ConfigError

SEEDS = range(2**32)
"""What the split generators take as a seed."""


def option_names(reader: Callable[..., Any]) -> list[str]:
    """The options of a reader: its keyword-only arguments."""
    return [name for name, parameter in signature(reader).parameters.items()
            if parameter.kind is Parameter.KEYWORD_ONLY]


def check_option(name: str, value: Any, known: Sequence[Any]) -> None:
    """Refuse a value that is not in ``known``.

    Raises:
        ConfigError: with the known values.
    """
    if value not in known:
        values = (f"a whole number from {known[0]} to {known[-1]}" if isinstance(known, range)
                  else f"one of {', '.join('null' if each is None else str(each) for each in known)}")
        raise ConfigError(f"data.options.{name}={value} is unknown; choose {values}")
