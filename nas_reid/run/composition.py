"""Hydra, ready to compose from ``conf/``, whether a command runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from nas_reid.config.loading import schema_node
from nas_reid.config.schemas import SCHEMAS
from nas_reid.run.door import config_dir
from nas_reid.run.search_path import InstalledSpaces


def data_files() -> list[str]:
    """Names of the files in ``conf/data``, those that a plugin or ``hydra.searchpath`` adds included."""
    with composition():
        return GlobalHydra.instance().config_loader().get_group_options("data")


def data_file(name: str) -> dict[str, Any]:
    """One of ``data_files`` as plain data."""
    with composition():
        plain: Any = OmegaConf.to_container(hydra.compose(f"data/{name}").data, resolve=True)
    return plain


@contextmanager
def composition() -> Iterator[None]:
    """Hydra, ready to compose from ``conf/``: that of the command that runs, else one for the moment."""
    outside = GlobalHydra.instance().hydra
    if outside is not None and _reads_conf():
        yield
        return
    prepare()
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(config_dir(), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = outside


def prepare() -> None:
    """Give Hydra the schemas ``<command>_schema`` that the files in ``conf/`` start from, and other people's spaces."""
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema_node(schema))
    Plugins.instance().register(InstalledSpaces)


def _reads_conf() -> bool:
    """Whether the Hydra that runs is one of our commands', not that of a program which calls us."""
    folders = GlobalHydra.instance().config_loader().get_search_path().get_path()
    return any(folder.path == config_dir() for folder in folders)
