"""Search spaces by name, and genotypes by name or path.

A space is found in three steps: already registered in this process; the entry-point group
``nas_reid.search_spaces`` of an installed distribution; a module ``search_spaces.<name>`` beside the engine, so
that a bare checkout works. Names, never import paths: what a genotype file can select is what is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nas_reid.errors import ConfigError, GenotypeError
from nas_reid.files.of_run import file_of_run
from nas_reid.genotype import Genotype

if TYPE_CHECKING:  # it imports torch, which listing what there is must not wait for
    from nas_reid.search_space import SearchSpace

ENTRY_POINT_GROUP = "nas_reid.search_spaces"
LARGEST = 65_536
"""Of any number that a space is built from: no width, depth or count of a network comes near it."""
_BUNDLED = "search_spaces"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_spaces: dict[str, type[SearchSpace]] = {}

_Space = TypeVar("_Space", bound="type[SearchSpace]")


def register(name: str) -> Callable[[_Space], _Space]:
    """Class decorator that makes a search space available as ``space=<name>``.

    Raises:
        ConfigError: the name is not an identifier in lower case, or another class already has it.
    """
    if not is_legal_name(name):
        raise ConfigError(f"search space name {name!r} is illegal: use lower-case letters, digits and underscores")

    def decorate(space: _Space) -> _Space:
        """Register the class, unless another one has the name."""
        taken = _spaces.get(name)
        if taken is not None and taken.__qualname__ + taken.__module__ != space.__qualname__ + space.__module__:
            raise ConfigError(f"search space {name!r} is already registered by {taken.__module__}; choose another name")
        _spaces[name] = space
        return space

    return decorate


def space_class(name: str) -> type[SearchSpace]:
    """The registered class of a search space, importing its module if needed.

    Raises:
        ConfigError: no installed space has this name (the known ones are listed), its module registers another, or
            that module cannot be imported.
    """
    if name not in _spaces and (module := module_of(name)):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError(f"search space {name!r} cannot be imported from {module}: {error}") from error
    if name in _spaces:
        return _spaces[name]
    raise ConfigError(f"unknown search space {name!r}; known are: {', '.join(known_spaces())}. "
                      "A space of another package appears once that package is installed.")


def known_spaces() -> list[str]:
    """Names of all spaces that can be created here, sorted; imports none of them."""
    names = {entry.name for entry in installed_spaces()} | set(_spaces)
    bundled = importlib.util.find_spec(_BUNDLED)
    for folder in (bundled.submodule_search_locations or []) if bundled else []:
        names |= {path.stem for path in Path(folder).iterdir()
                  if _NAME.fullmatch(path.stem) and (path.suffix == ".py" or (path / "__init__.py").exists())}
    return sorted(names)


def create_space(name: str, arguments: Mapping[str, Any]) -> SearchSpace:
    """Construct a space from its YAML keys.

    Raises:
        ConfigError: unknown space, an argument that its constructor does not have, one that is missing, or a number
            beyond ``LARGEST``.
    """
    space = space_class(name)
    parameters = inspect.signature(space).parameters.values()
    known = [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters)
    unknown = [] if takes_any else sorted(set(arguments) - set(known))
    missing = [each.name for each in parameters
               if each.name in known and each.default is each.empty and each.name not in arguments]
    if unknown or missing:
        problem = f"has no argument {', '.join(unknown)}" if unknown else f"needs the argument {', '.join(missing)}"
        raise ConfigError(f"search space {name!r} {problem}; it has: {', '.join(known) or 'none'}")
    _require_bounds(arguments)
    return space(**arguments)


def _require_bounds(arguments: Mapping[str, Any]) -> None:
    """Refuse numbers that no network needs, before building one takes for ever."""
    for key, value in arguments.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, int | float) and not abs(number) <= LARGEST:
                raise ConfigError(f"space.{key}={value!r} is illegal: no network needs a number above {LARGEST:,}")


def create_searchable(settings: Mapping[str, Any]) -> SearchSpace:
    """As ``create_space``, for a search.

    Args:
        settings: the ``name`` of the space and its arguments, as the group ``space`` of the configuration has them.

    Raises:
        ConfigError: as there; or the space is one of fixed networks, without a decision.
    """
    name = settings["name"]
    space = create_space(name, {key: value for key, value in settings.items() if key != "name"})
    if not space.decisions():
        raise ConfigError(f"search space {name!r} has no decisions: there is nothing to search. Train one of its "
                          "networks: python -m nas_reid.retrain genotype=<name>, where <name> is one of "
                          f"{', '.join(published_genotypes(name)) or 'its genotypes'}")
    return space


def space_of(genotype: Genotype, overrides: Mapping[str, Any] | None = None) -> SearchSpace:
    """The space that a genotype belongs to, with the genotype's arguments updated by ``overrides``.

    Raises:
        GenotypeError: the space is not installed, or is older than the genotype.
        ConfigError: an override that the space does not know.
    """
    if genotype.space not in known_spaces():
        raise GenotypeError(f"genotype belongs to search space {genotype.space!r}, which is not installed here; "
                            f"installed are: {', '.join(known_spaces())}. Install the package that provides it.")
    installed = space_class(genotype.space).version
    if genotype.space_version > installed:
        raise GenotypeError(f"genotype is of version {genotype.space_version} of space {genotype.space!r}, installed "
                            f"is version {installed}: update the package that provides it")
    try:
        return create_space(genotype.space, {**genotype.arguments, **(overrides or {})})
    except ConfigError as error:  # of the values that a training may set, it is told by the keys of a search
        named = "network" if overrides else "genotype.arguments"
        raise ConfigError(re.sub(r"\bspace\.(?=\w+=)", f"{named}.", str(error))) from None


def load_genotype(reference: str) -> Genotype:
    """A genotype from a file, or a published one by name.

    Args:
        reference: a path to a JSON file or to the folder of a search, or ``<space>/<name>`` for a file that ships
            with a space.

    Raises:
        GenotypeError: neither a file nor a published name; the message lists what there is.
    """
    path = file_of_run(reference, ("genotype.json",))
    if path.is_file():
        return Genotype.load(path)
    space, _, name = reference.partition("/")
    published = _published(space)
    if name in published:
        return Genotype.load(published[name])
    hint = (f"{space} publishes: {', '.join(f'{space}/{known}' for known in sorted(published))}" if published
            else f"published genotypes: {', '.join(_all_published())}")
    recent = sorted(Path().glob("outputs/**/genotype.json"), key=lambda file: -file.stat().st_mtime)[:3]
    found = f"; recent files here: {', '.join(map(str, recent))}" if recent else ""
    raise GenotypeError(f"genotype={reference!r} is no file ({path.resolve()}) and no published genotype; "
                        f"{hint}{found}")


def published_genotypes(space: str) -> list[str]:
    """References ``<space>/<name>`` of the genotypes that ship with a space, sorted."""
    return [f"{space}/{name}" for name in _published(space)]


def installed_spaces() -> list[EntryPoint]:
    """Entry points of the spaces that installed distributions offer."""
    return list(entry_points(group=ENTRY_POINT_GROUP))


def folder_of(module: str) -> Path | None:
    """Folder of a module's file, found without running it; None if there is no such module."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec and spec.origin else None


def is_legal_name(space: str) -> bool:
    """Whether a space may have this name: lower-case letters, digits and underscores, a letter first."""
    return _NAME.fullmatch(space) is not None


def module_of(space: str) -> str | None:
    """The module that registers a space: that of its entry point, else the bundled one; None without either."""
    if not is_legal_name(space):
        return None
    for entry in installed_spaces():
        if entry.name == space:
            return entry.module
    bundled = f"{_BUNDLED}.{space}"
    return bundled if folder_of(bundled) else None


def _published(space: str) -> dict[str, Path]:
    """Name and file of the genotypes that ship in the folder ``genotypes`` beside a space's module."""
    folder = folder_of(module) if (module := module_of(space)) else None
    return {file.stem: file for file in sorted(folder.glob("genotypes/*.json"))} if folder else {}


def _all_published() -> list[str]:
    return [reference for space in known_spaces() for reference in published_genotypes(space)]
