"""Lets ``space=<name>`` find the YAML files of installed third-party search spaces."""

import importlib.util
import logging
from importlib.metadata import entry_points
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from nas_reid.registry import ENTRY_POINT_GROUP

log = logging.getLogger(__name__)


class InstalledSpaces(SearchPathPlugin):
    """Appends the folder ``conf`` beside each module of the entry-point group; imports none of them."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra before it composes."""
        for entry in entry_points(group=ENTRY_POINT_GROUP):
            provider = entry.dist.name if entry.dist else entry.module
            try:
                spec = importlib.util.find_spec(entry.module)
            except (ImportError, ValueError):
                spec = None
            if spec is None or spec.origin is None:
                log.warning("search space %r of %s cannot be found; reinstall or remove that package",
                            entry.name, provider)
                continue
            folder = Path(spec.origin).parent / "conf"
            if folder.is_dir():
                search_path.append(provider=provider, path=f"file://{folder}")
