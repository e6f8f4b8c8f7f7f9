"""The discrete result of a search: plain data, a JSON file, and never code.

A genotype names its space and that space's version; it carries no import path, so a file from a stranger can
select only what is installed. The body belongs to the space and uses names (op, source), never positions.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nas_reid.errors import GenotypeError
from nas_reid.files import write_atomically
from nas_reid.files.regular import read_regular

FORMAT_VERSION = 1
_REQUIRED = {"format_version": int, "space": str, "space_version": int, "body": dict}
_OPTIONAL = {"arguments": dict, "probabilities": dict, "provenance": dict}


@dataclass(frozen=True)
class Genotype:
    """One architecture.

    Args:
        space: registered name of the search space.
        space_version: version of that space's body format.
        body: the space's own description; JSON types only.
        arguments: constructor arguments of the space it was derived from (widths, depths, ...).
        probabilities: final mixing probabilities per decision, rows of [K] floats; may be empty.
        provenance: where it came from (seed, data set, epochs, package version, git revision).
    """

    space: str
    space_version: int
    body: Mapping[str, Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    probabilities: Mapping[str, list[list[float]]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def with_provenance(self, **entries: Any) -> "Genotype":
        """A copy whose provenance also holds ``entries``."""
        return replace(self, provenance={**self.provenance, **entries})

    def to_json(self) -> str:
        """Readable JSON, stable for equal genotypes."""
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=2) + "\n"

    def save(self, path: Path) -> None:
        """Write the JSON file atomically."""
        write_atomically(path, self.to_json().encode())

    @staticmethod
    def from_json(text: str, *, origin: str = "genotype") -> "Genotype":
        """Parse and validate.

        Args:
            text: the file's content.
            origin: file name or other source, for messages.

        Raises:
            GenotypeError: not JSON, a missing or mistyped field, an unknown field, or a newer format version.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:  # beside syntax: a number or a nesting beyond all bounds
            raise GenotypeError(f"{origin} is not JSON ({error}); expected a genotype.json of a search") from None
        if not isinstance(content, dict):
            raise GenotypeError(f"{origin} holds a {type(content).__name__}; expected a JSON object")
        _validate(content, origin)
        content.pop("format_version")
        return Genotype(**content)

    @staticmethod
    def load(path: Path | str) -> "Genotype":
        """Read and validate a genotype file; see ``from_json`` for the errors."""
        try:
            text = read_regular(Path(path)).decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise GenotypeError(f"cannot read genotype {path}: {error}; expected a genotype.json of a search") from None
        return Genotype.from_json(text, origin=str(path))


def _validate(content: dict[str, Any], origin: str) -> None:
    for name in ("format_version", "space_version"):
        version = content.get(name)
        if isinstance(version, int) and not isinstance(version, bool) and version < 1:
            raise GenotypeError(f"{origin}: field {name!r} is {version}; versions are counted from 1")
    version = content.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise GenotypeError(f"{origin} has format_version {version}, newer than {FORMAT_VERSION}, the newest that this "
                            "nas_reid reads: update nas_reid")
    for name, kind in _REQUIRED.items():
        if not isinstance(content.get(name), kind) or isinstance(content[name], bool):
            raise GenotypeError(f"{origin}: field {name!r} is {content.get(name)!r}; expected a {kind.__name__}")
    for name, kind in _OPTIONAL.items():
        if name in content and not isinstance(content[name], kind):
            raise GenotypeError(f"{origin}: field {name!r} is {content[name]!r}; expected a {kind.__name__}")
    unknown = sorted(set(content) - set(_REQUIRED) - set(_OPTIONAL))
    if unknown:
        raise GenotypeError(f"{origin}: unknown fields {unknown}; known are {sorted({**_REQUIRED, **_OPTIONAL})}")
