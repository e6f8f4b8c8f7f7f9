"""How a command was called, as plain data; the one place that asks Hydra for it."""

from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig


@dataclass(frozen=True)
class Invocation:
    """What a command line says beside the settings.

    Args:
        folder: the job's own, chosen by Hydra.
        group: name of the sweep's folder, or of the run's: the runs of a group belong together.
        number: of the job in its sweep; 0 for a single run.
        data: the file of ``conf/data`` that was chosen; None for a command without that group.
        overrides: of the configuration, as they were typed.
        hydra_overrides: of Hydra's own configuration.
        config_dirs: folders given by ``--config-dir``.
    """

    folder: Path
    group: str
    number: int
    data: str | None
    overrides: tuple[str, ...]
    hydra_overrides: tuple[str, ...]
    config_dirs: tuple[str, ...]


def invocation() -> Invocation:
    """That of the command that runs."""
    config = HydraConfig.get()
    is_sweep = config.mode is not None and config.mode.name == "MULTIRUN"
    return Invocation(folder=Path(config.runtime.output_dir),
                      group=Path(config.sweep.dir if is_sweep else config.run.dir).name,
                      number=int(config.job.num) if is_sweep else 0,
                      data=config.runtime.choices.get("data"),
                      overrides=tuple(config.overrides.task), hydra_overrides=tuple(config.overrides.hydra),
                      config_dirs=tuple(source.path for source in config.runtime.config_sources
                                        if source.provider == "command-line"))
