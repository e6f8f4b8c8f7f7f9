"""What is wrong with a command line that Hydra cannot compose, in a sentence that names the way out."""

import re
import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_reid.config.schemas import SCHEMAS
from nas_reid.config.spelling import did_you_mean, flat_keys, schema_keys
from nas_reid.config.wrong_types import wrong_type
from nas_reid.run.command_line import override

_UNKNOWN = re.compile(r"Could not override '([^']+)'|Could not delete from config\. '([^']+)' does not exist")
_IN_FILE = re.compile(r"In '([^']+)': .*\s*Key '([^']+)' not in '\w+'\s+full_key: (\S+)")
_FILE = re.compile(r"In '([^']+)': ")
_THERE = re.compile(r"Could not append to config\. An item is already at '([^']+)'")
_NOISE = re.compile(r"\s*(reference_type=|object_type=|See https?://|Config search path:|provider=).*")


def refused_flags(arguments: Sequence[str]) -> str | None:
    """What to write instead of arguments that neither Hydra nor its override grammar can take; None without any.

    Args:
        arguments: of the command line, without the program.
    """
    if undecoded := [text for text in arguments if not text.isascii() and text != _decodable(text)]:
        return "; ".join(f"{_decodable(text)}: has bytes that are no UTF-8, which no configuration can hold. Give the "
                         "file another name, or a link to it (ln -s)" for text in undecoded)
    strange = [text for text in get_args_parser().parse_known_args(list(arguments))[1] if text != "--"]
    flags = [text for text in strange if text.startswith("-")]
    if flags:
        return "; ".join(f"{flag}: write {_without_dashes(flag)}" for flag in flags)
    return f"{strange[0]}: write flags such as -m before all overrides" if strange else None


def explain(command: str, error: Exception, arguments: Sequence[str], *, config_dir: str) -> str:
    """Why the configuration of a command could not be composed, and what to write.

    Args:
        command: its name.
        error: what Hydra raised.
        arguments: of the command line, without the program.
        config_dir: the folder of the configuration.
    """
    texts = get_args_parser().parse_known_args(list(arguments))[0].overrides
    if isinstance(error, OverrideParseException):
        return _unparsed(error)
    given = OverridesParser.create().parse_overrides(texts)
    for choice in (one for one in given if one.key_or_group == "experiment"):
        if foreign := _of_another_command(command, str(choice.value()), Path(config_dir)):
            return foreign
    if isinstance(error, MissingConfigException):
        return _missing_file(error)
    text = str(error)
    if found := _IN_FILE.match(text):
        file, key, full = found.groups()
        return (f"{file}.yaml: nas_reid.{command} has no key {full}."
                f"{did_you_mean(full, schema_keys(SCHEMAS[command])) if key else ''}")
    if found := _UNKNOWN.search(text):
        return _unknown_key(command, found[1] or found[2], error, given, config_dir)
    if found := _THERE.search(text):
        return f"{found[1]} is there already: write it without +"
    if "Config group override must be" in text:
        return "; ".join(f"{one.input_line}: a file of conf/{one.key_or_group} is expected; leave it out for the "
                         "default" for one in given if not isinstance(one.value(), str | list)
                         and (Path(config_dir) / one.key_or_group).is_dir())
    if told := wrong_type(error.__cause__, SCHEMAS[command]):
        file = _FILE.match(text)
        return f"{file[1]}.yaml: {told}" if file else told
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else ""
    lines = [line.rstrip() for line in f"{text}\n{cause}".splitlines() if line.strip() and not _NOISE.match(line)]
    return "\n".join(lines)


def _decodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _without_dashes(flag: str) -> str:
    key, equals, value = flag.lstrip("-").partition("=")
    return f"{key}={value if equals else 'VALUE'}"


def _unparsed(error: OverrideParseException) -> str:
    key, equals, value = error.override.partition("=")
    if not equals:
        return f"{key}: an override is written {key}=VALUE"
    reason = next(line for line in error.message.splitlines() if "Error parsing" not in line)
    meant: str | list[str] = value
    if value.startswith("[") and value.endswith("]") and not set("[]{}\"'") & set(value[1:-1]):  # a list of plain words
        meant = [word.strip() for word in value[1:-1].split(",")]
    return (f"{error.override}: Hydra cannot read this value ({reason}); if it is meant as it stands, write "
            f"{shlex.quote(override(key, meant))}")


def _of_another_command(command: str, experiment: str, config_dir: Path) -> str | None:
    """What to say about an experiment whose header names other commands alone; None about any other."""
    path = config_dir / "experiment" / f"{experiment}.yaml"
    header = re.findall(r"^#.*python -m nas_reid\.(\w+)", path.read_text(encoding="utf-8"), re.M) \
        if path.is_file() else []
    if not header or command in header:
        return None
    return (f"experiment={experiment} is for nas_reid.{header[0]}, not for nas_reid.{command}: "
            f"python -m nas_reid.{header[0]} experiment={experiment}")


def _missing_file(error: MissingConfigException) -> str:
    first = str(error).splitlines()[0].rpartition(": ")[2]
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    options = list(error.options or ())
    close = get_close_matches(name, options, n=1)
    wish = f" Did you mean {group}={close[0]}?" if close else ""
    return f"{first.rstrip('.')}.{wish}{' Known are: ' if options else ''}{', '.join(options)}"


def _unknown_key(command: str, key: str, error: Exception, given: Sequence[Override], config_dir: str) -> str:
    """A key that the command lacks: who has it, and what it was meant to be. The full key may be one below ``key``."""
    deeper = re.search(r"full_key: (\S+)", str(error.__cause__ or ""))
    key = deeper[1] if deeper and deeper[1].startswith(f"{key}.") else key
    known = _composed_keys(command, [one.input_line or "" for one in given if one.key_or_group != key], config_dir,
                           hydra=key.startswith("hydra"))
    owners = [f"nas_reid.{name}" for name, schema in SCHEMAS.items()
              if key in schema_keys(schema) or _is_group(Path(config_dir) / f"{name}.yaml", key)]
    wish = did_you_mean(key, known)
    if owners:
        return f"nas_reid.{command} has no key {key}: it is one of {', '.join(owners)}.{wish or ' Leave it out'}"
    return f"nas_reid.{command} has no key {key}.{wish or ' --cfg job shows all keys'}"


def _is_group(file: Path, key: str) -> bool:
    """Whether the defaults of a command choose a file of this group, or may."""
    return f"\n  - {key}: null" in file.read_text(encoding="utf-8")


def _composed_keys(command: str, overrides: Iterable[str], config_dir: str, *, hydra: bool) -> list[str]:
    """The keys of what is composed, Hydra's included or not; without the overrides where they make it fail, too."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir, version_base="1.3"):
        for attempt in (list(overrides), []):
            try:
                cfg = compose(command, attempt, return_hydra_config=hydra)
                plain: Any = OmegaConf.to_container(cfg)
                return list(flat_keys(plain))
            except (HydraException, OmegaConfBaseException, ValueError):
                continue
    return []
