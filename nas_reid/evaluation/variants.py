"""Other ways to rank the same features, each reported beside the plain metrics and never instead of them.

A variant is configured under its name with its arguments, and null is off:
``evaluation.rerank={k1: 20, k2: 6, lambda: 0.3}``. Arguments left out have the published values, so that ``{}`` is the
published form.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nas_reid.errors import ConfigError
from nas_reid.evaluation.distance import DistanceBlocks
from nas_reid.evaluation.dsr import SpatialReconstruction
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.protocol import JunkRule
from nas_reid.evaluation.query_expansion import QueryExpansion, TransductiveExpansion
from nas_reid.evaluation.reranking import KReciprocal


class Variant(Protocol):
    """A way to rank.

    Attributes:
        needs_maps: whether ``Embedded.maps`` must be there.
        needs_cosine: whether it is defined for ``evaluation.distance=cosine`` alone.
    """

    needs_maps: bool
    needs_cosine: bool

    def check(self, num_gallery: int) -> None:
        """Raise ConfigError where it cannot be applied to a gallery of so many images."""
        ...

    def distances(self, query: Embedded, gallery: Embedded, *, distance: str, junk: JunkRule) -> DistanceBlocks:
        """What to rank by, for ``ranking.rank_blocks``."""
        ...

    def memory(self, query: Embedded, gallery: Embedded) -> int:
        """Upper bound of the bytes that ranking this way takes, features, maps and blocks included."""
        ...

    def describe(self) -> dict[str, Any]:
        """Method and arguments, for the protocol of a result file."""
        ...


if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Kind = TypeVar("_Kind", bound="DataclassInstance")
VARIANTS: dict[str, type] = {"rerank": KReciprocal, "query_expansion": QueryExpansion,
                             "transductive_expansion": TransductiveExpansion, "dsr": SpatialReconstruction}


def build_variants(configured: Mapping[str, Any]) -> dict[str, Variant]:
    """The variants that are switched on.

    Args:
        configured: name -> mapping of arguments, or None for off; other names are ignored.

    Raises:
        ConfigError: not a mapping, an unknown argument, or a value of wrong type or outside its range.
    """
    return {name: build(name, kind, configured[name]) for name, kind in VARIANTS.items()
            if configured.get(name) is not None}


def check_variants(variants: Mapping[str, Variant], *, distance: str, num_gallery: int | None = None) -> None:
    """Refuse variants that do not go with the plain distance, or with a gallery of so many images if that is known.

    Raises:
        ConfigError: says which.
    """
    for name, variant in variants.items():
        if variant.needs_cosine and distance != "cosine":
            raise ConfigError(f"evaluation.{name} does not go with evaluation.distance={distance}, as it weighs with "
                              "cosines; set evaluation.distance=cosine")
        if num_gallery is not None:
            variant.check(num_gallery)


def build(name: str, kind: type[_Kind], arguments: Any) -> _Kind:
    """The dataclass ``kind``, whose fields have defaults, from the mapping below ``evaluation.<name>``.

    Raises:
        ConfigError: see ``build_variants``.
    """
    known = {field.metadata.get("key", field.name): field for field in fields(kind)}
    listed = "{" + ", ".join(f"{key}: {field.default}" for key, field in known.items()) + "}"
    if not isinstance(arguments, Mapping):
        raise ConfigError(f"evaluation.{name}={arguments!r}: expected null or arguments, such as {listed}")
    if unknown := [str(key) for key in arguments if key not in known]:
        raise ConfigError(f"evaluation.{name} has no argument {', '.join(unknown)}; it has, with their defaults, "
                          f"{listed}")
    for key, value in arguments.items():
        wanted = type(known[key].default)
        if isinstance(value, bool) or not isinstance(value, (int, float) if wanted is float else wanted):
            raise ConfigError(f"evaluation.{name}.{key}={value!r} is no {_WORDS[wanted]}; the default is "
                              f"{known[key].default!r}")
    return kind(**{known[key].name: value for key, value in arguments.items()})


_WORDS = {int: "whole number", float: "number", str: "name"}
