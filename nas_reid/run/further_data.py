"""The data sets that a retraining names beside ``data``: further sources, targets, one to validate on."""

import re
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from nas_reid.config.groups import DataConfig
from nas_reid.config.loading import load, to_plain
from nas_reid.data.source import DataSource, open_source
from nas_reid.data.synthetic.domain import DOMAINS
from nas_reid.errors import ConfigError, DataError
from nas_reid.run.composition import data_file, data_files

_OF_THE_RUN = ("image_size", "cache", "workers", "on_corrupt")  # what one run has once, whatever its data sets
_KEY_OF_DATA = re.compile(r"(?<![\w./])data\.(?=\w)")  # data.root, but no part of a path


def further_data(key: str, entries: Any, data: DataConfig, *, several: bool = False) -> dict[str, DataConfig]:
    """The settings of data sets given by name, or as a mapping of names to changes: ``{msmt17: {root: DIR}}``.

    A name is that of a file in ``conf/data``; or of a domain, when the run's own data are drawn; or any name, when
    changes to the run's own data follow it. Image size, cache and the like are the run's unless they are changed.

    Args:
        key: of the configuration: ``targets``, ``sources``, ``validation_data`` or ``alphas_data``.
        entries: one name, a list of names, or the mapping.
        data: the run's own data.
        several: of ``validation_data`` and ``alphas_data`` too, which are one data set elsewhere.

    Raises:
        ConfigError: neither names nor a mapping, a name without meaning, or a change that is no legal setting.
    """
    entries = [entries] if isinstance(entries, str) else entries or {}
    if not isinstance(entries, dict) and not (isinstance(entries, list) and all(isinstance(e, str) for e in entries)):
        raise ConfigError(f"{key}={entries!r}: expected names of data sets, such as [market1501,msmt17], or a mapping "
                          "of names to keys of data, such as {msmt17: {root: DIR}}")
    if data.name in entries:
        raise ConfigError(f"{key} names {data.name}, which is what is trained on and evaluated in any case; give other "
                          "data another name")
    changes = entries if isinstance(entries, dict) else dict.fromkeys(entries)
    if key in ("validation_data", "alphas_data") and len(changes) > 1 and not several:
        raise ConfigError(f"{key} names {', '.join(changes)}; expected one data set")
    return {str(name): _settings(f"{key}.{name}", str(name), change, data) for name, change in changes.items()}


def open_further(key: str, further: Mapping[str, DataConfig], **options: Any) -> dict[str, DataSource]:
    """Name -> ``open_source`` of its settings, with its ``options``.

    Raises:
        ConfigError, DataError: as of ``open_source``, but of ``<key>.<name>`` in place of ``data``.
    """
    opened = {}
    for name, data in further.items():
        try:
            opened[name] = open_source(data, **options)
        except (ConfigError, DataError) as error:
            place = f"{key}.{name}"
            raise type(error)(f"{place}: {_KEY_OF_DATA.sub(f'{place}.', str(error))}") from error
    return opened


def _settings(key: str, name: str, change: Any, data: DataConfig) -> DataConfig:
    if not isinstance(change or {}, Mapping):
        raise ConfigError(f"{key}={change!r}: expected keys of data, such as +{key}.root=DIR")
    plain = to_plain(data)
    options = data_files()
    if name in options:
        plain = {**data_file(name), **{shared: plain[shared] for shared in _OF_THE_RUN}}
    elif plain["synthetic"] is not None and name in DOMAINS:
        plain["synthetic"]["domain"] = name
    elif not change:
        domains = f" or a domain of the drawn data ({', '.join(DOMAINS)})" if plain["synthetic"] is not None else ""
        raise ConfigError(f"{key}: expected a file of conf/data ({', '.join(options)}){domains}; any other name needs "
                          f"a key that tells it from the data that are trained on, such as +{key}.root=DIR")
    try:
        merged: Any = OmegaConf.merge(plain, {"name": name}, change or {})
        return load(merged, DataConfig)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
