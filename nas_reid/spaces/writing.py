"""The files of a new search space: a package that works as it is, to be changed."""

from importlib.resources import files
from pathlib import Path
from string import Template

from nas_reid.errors import ConfigError
from nas_reid.registry import is_legal_name, known_spaces

_FILES = {"space.py.txt": "{name}_space/__init__.py", "space.yaml.txt": "{name}_space/conf/space/{name}.yaml",
          "test.py.txt": "test_{name}.py", "pyproject.toml.txt": "pyproject.toml"}
"""File in ``template`` -> file of the package."""


def write_space(name: str, into: Path) -> Path:
    """Write a package with a space of this name: Python, YAML, its test and what makes it known once installed.

    Args:
        name: of the space, as in ``space=<name>``.
        into: folder that gets the package's folder ``<name>``.

    Returns:
        The package's folder.

    Raises:
        ConfigError: an illegal or a taken name, or a folder that is there already or cannot be written.
    """
    if not is_legal_name(name):
        raise ConfigError(f"search space name {name!r} is illegal: use lower-case letters, digits and underscores")
    if name in known_spaces():
        raise ConfigError(f"search space {name!r} is there already; known are: {', '.join(known_spaces())}")
    folder, words = into / name, {"name": name, "class_name": "".join(part.capitalize() for part in name.split("_"))}
    try:
        folder.mkdir(parents=True)
        for template, target in _FILES.items():
            text = (files("nas_reid.spaces") / "template" / template).read_text(encoding="utf-8")
            path = folder / target.format(name=name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Template(text).substitute(words), encoding="utf-8")
    except FileExistsError:
        raise ConfigError(f"{folder} is there already; choose another name, or another folder with --into") from None
    except OSError as error:
        raise ConfigError(f"cannot write {folder}: {error.strerror}; choose another folder with --into") from None
    return folder
