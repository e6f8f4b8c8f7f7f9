"""Lines that a person can paste: commands that come next, or that continue a run, as a shell and Hydra read them."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_reid.parallel.processes import launcher
from nas_reid.run.composition import composition
from nas_reid.run.invocation import Invocation

_NAME = re.compile(r"""[^"'\[\]{},$][^"\[\]{},$]*""")
"""What opens no list, mapping or quotation."""
_PATH = re.compile(r"/|[^\x00-\x7f]")
"""What names of files have rather than other values."""
_INTERPOLATION = re.compile(r"(\\*)\$\{")


def override(key: str, value: object) -> str:
    """``key=value`` in Hydra's grammar, with quotes where the value would otherwise be read as something else.

    Args:
        key: dotted.
        value: plain data; a path or any other object stands for its ``str``. ``${`` is kept from being interpolated.
    """
    return f"{key}={_value(value)}"


def with_plain_paths(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line, with quotes around paths that Hydra's grammar cannot read without.

    It stops at accents, Chinese characters, brackets, ``&``, ``#`` and others, which names of files have. What may
    mean more than a path or a list of paths (a mapping, a sweep, something in quotes already) is left as it is.
    """
    def read(text: str) -> str:
        """An argument, in quotes if it is a path that the grammar refuses."""
        key, equals, value = text.partition("=")
        is_list = value.startswith("[") and value.endswith("]")
        words = value[1:-1].split(",") if is_list else [value]
        if (not equals or text.startswith("-") or not any(map(_PATH.search, words))
                or not all(map(_NAME.fullmatch, words))):
            return text
        try:
            OverridesParser.create().parse_override(text)
        except HydraException:
            return override(key, words if is_list else value)
        return text

    return list(map(read, arguments))


def command_line(call: Invocation, name: str, overrides: list[str], *, launcher: Sequence[str] = ("python",)) -> str:
    """The line that runs the command ``name`` with overrides in Hydra's grammar, quoted for a shell.

    ``call`` is that of this job, whose own folders of configuration the other command needs too; ``launcher`` is what
    starts a module.
    """
    own = [flag for folder in call.config_dirs for flag in ("--config-dir", folder)]
    return shlex.join([*launcher, "-m", f"nas_reid.{name}", *own, *overrides])


def next_command(call: Invocation, name: str, arguments: Mapping[str, object], *,
                 data: Mapping[str, Any] | None = None) -> str:
    """The line that runs another command, on the data of this job if it is told them.

    The data are named as this job's command line named them; what came from elsewhere (an experiment, a file of the
    user's own defaults) is added where the other command would not come to it by itself.

    Args:
        call: of this job.
        name: of the other command.
        arguments: its overrides.
        data: this job's configuration of data, resolved; the command has a group ``data``. None: it takes none.
    """
    given = [override(key, value) for key, value in arguments.items()]
    return command_line(call, name, [*given, *([] if data is None else _data_overrides(call, name, given, data))])


def continuing_command(call: Invocation, name: str, folder: object, *, anew: bool) -> str:
    """The line that repeats this job's command in ``folder``, where it goes on.

    Args:
        call: of this job.
        name: of its command.
        folder: of the run.
        anew: whether a ``resume=never`` still has to be obeyed: the run has not taken up its folder yet.
    """
    kept = [text for text in call.overrides if anew or _key(text) != "resume" or _value_of(text) != "never"]
    kept += [text for text in call.hydra_overrides
             if not _key(text).startswith(("hydra.run.dir", "hydra.sweep", "hydra.mode", "hydra/launcher",
                                           "hydra.launcher"))]
    return command_line(call, name, [*kept, override("hydra.run.dir", folder)], launcher=launcher())


def _data_overrides(call: Invocation, name: str, given: list[str], data: Mapping[str, Any]) -> Iterator[str]:
    details = [text for text in call.overrides if _key(text).startswith("data.")]
    found, by_itself = _composed_data(name, [*given, *details])
    if by_itself != call.data:
        yield f"data={call.data}"
        found, _ = _composed_data(name, [*given, f"data={call.data}", *details])
    yield from details
    if found is not None:
        yield from _differences("data", found, data)


def _composed_data(name: str, overrides: list[str]) -> tuple[Any, str | None]:
    """What a command would take as its data, and their name; None where that cannot be told."""
    try:
        with composition():
            cfg = compose(name, overrides, return_hydra_config=True)
        chosen = cfg.hydra.runtime.choices.get("data")
        return OmegaConf.to_container(cfg.data, resolve=True), chosen
    except (HydraException, OmegaConfBaseException):
        return None, None


def _differences(key: str, found: Any, wanted: Any) -> Iterator[str]:
    """Overrides that turn the value of a key into another."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping) and found:
        for name in found.keys() - wanted.keys():
            yield f"~{key}.{name}"
        for name, value in wanted.items():
            if name not in found:
                yield override(f"+{key}.{name}", value)
            else:
                yield from _differences(f"{key}.{name}", found[name], value)
    elif found != wanted:
        yield override(key, wanted)


def _key(text: str) -> str:
    return text.partition("=")[0].lstrip("+~")


def _value_of(text: str) -> str:
    return text.partition("=")[2]


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_value, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, int | float) else _text(str(value))


def _text(text: str) -> str:
    """A string in Hydra's grammar: as it is where the parser gives it back alone and in a list, else in quotes."""
    text = _INTERPOLATION.sub(lambda found: 2 * found[1] + "\\${", text)
    try:
        parsed = OverridesParser.create().parse_override(f"key=[{text}]").value()
    except HydraException:
        parsed = None
    if parsed == [text] and "\\" not in text:
        return text
    return QuotedString(text, Quote.single if '"' in text else Quote.double).with_quotes()
