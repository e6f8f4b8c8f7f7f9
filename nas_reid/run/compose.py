"""Settings as the command line composes them from ``conf/`` and overrides, without a command line."""

from collections.abc import Sequence
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from nas_reid.config.loading import load
from nas_reid.config.schemas import SCHEMAS
from nas_reid.errors import ConfigError
from nas_reid.run.command_line import with_plain_paths
from nas_reid.run.composition import composition
from nas_reid.run.door import config_dir
from nas_reid.run.misspelt import explain


def settings(command: str, overrides: Sequence[str] = ()) -> Any:
    """What ``python -m nas_reid.<command> <overrides>`` runs with: an instance of ``SCHEMAS[command]``.

    Args:
        command: ``search``, ``retrain``, ``evaluate`` and so on.
        overrides: ``key=value``, as on the command line.

    Raises:
        ConfigError: no such command, an override without meaning, or a value that is no legal setting.
    """
    if command not in SCHEMAS:
        raise ConfigError(f"command {command!r} is unknown; known are: {', '.join(SCHEMAS)}")
    try:
        with composition():
            composed = hydra.compose(command, with_plain_paths(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(explain(command, error, overrides, config_dir=config_dir())) from error
    return load(composed, SCHEMAS[command])
