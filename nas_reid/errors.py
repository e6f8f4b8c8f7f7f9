"""Errors a user can cause. Each message says what was given, what was expected and what to do."""

from collections.abc import Iterable, Sequence


class NasReidError(Exception):
    """Root of every error that a user's input or environment can cause."""


class ConfigError(NasReidError, ValueError):
    """A configuration value is illegal, or two values contradict each other."""


class DataError(NasReidError, ValueError):
    """A data folder, split or image is not what its reader expects."""


class GenotypeError(NasReidError, ValueError):
    """A genotype file is malformed, unknown, or does not fit its search space."""


class CheckpointError(NasReidError, RuntimeError):
    """A checkpoint cannot be read, written, or belongs to another configuration."""


class ExportError(NasReidError, RuntimeError):
    """A network cannot be exported, or what was exported computes something else."""


class NonFiniteError(NasReidError, ArithmeticError):
    """A loss became NaN or infinite."""


def require_known(key: str, value: object, known: Iterable[object]) -> None:
    """Refuse a value that is none of those known; a list or a mapping is none of any names.

    Args:
        key: of the configuration, or of a call.
        value: that it was given.
        known: in the order in which the error lists them.

    Raises:
        ConfigError: with the known ones.
    """
    choices = tuple(known)  # compared one by one: not every value can be looked up in a mapping
    if value not in choices:
        raise ConfigError(f"{key}={value!r} is unknown; known are: {', '.join(map(str, choices))}")


def some(names: Sequence[str], count: int = 5) -> str:
    """The first few names, for a message."""
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
