"""Readers: each turns a folder into a ``Dataset``. A new one is a file here and a line in ``READERS``."""

import logging
from collections.abc import Callable
from pathlib import Path

from nas_reid.data.readers.folder import read_folder
from nas_reid.data.readers.market1501 import read_market1501
from nas_reid.data.sample import Dataset
from nas_reid.errors import ConfigError

READERS: dict[str, Callable[[Path], Dataset]] = {
    "folder": read_folder,
    "market1501": read_market1501,
}
_WITHDRAWN = frozenset({"duke", "dukemtmc", "dukemtmcreid"})

log = logging.getLogger(__name__)


def find_reader(name: str) -> Callable[[Path], Dataset]:
    """The reader of this name.

    Raises:
        ConfigError: unknown or withdrawn name.
    """
    if name.lower().replace("-", "").replace("_", "") in _WITHDRAWN:
        raise ConfigError(
            f"{name!r} is not offered: DukeMTMC was withdrawn by its authors in 2019, because its collection broke "
            "the terms of their ethics board. Use MSMT17 v2 (blurred faces) for real images, or data=synthetic")
    if name not in READERS:
        raise ConfigError(f"unknown reader {name!r}; choose one of {sorted(READERS)} (data.reader)")
    return READERS[name]


def read_dataset(name: str, root: str | Path) -> Dataset:
    """Read a data set and log what its reader noticed.

    Args:
        name: a key of ``READERS``.
        root: the data set's folder; ``~`` is expanded.

    Raises:
        ConfigError: see ``find_reader``.
        DataError: the folder is missing, empty or of another layout.
    """
    dataset = find_reader(name)(Path(root).expanduser())
    for warning in dataset.warnings:
        log.warning("%s: %s", dataset.name, warning)
    return dataset
