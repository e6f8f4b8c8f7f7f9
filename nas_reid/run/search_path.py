"""Lets ``space=<name>`` find the YAML files of installed third-party search spaces."""

import logging

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from nas_reid.registry import folder_of, installed_spaces

log = logging.getLogger(__name__)


class InstalledSpaces(SearchPathPlugin):
    """Appends the folder ``conf`` beside each module of the entry-point group; imports none of them."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra before it composes."""
        for entry in installed_spaces():
            provider = entry.dist.name if entry.dist else entry.module
            folder = folder_of(entry.module)
            if folder is None:
                log.warning("search space %r of %s cannot be found; reinstall or remove that package",
                            entry.name, provider)
            elif (folder / "conf").is_dir():
                search_path.append(provider=provider, path=f"file://{folder / 'conf'}")
