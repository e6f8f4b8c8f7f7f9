"""The data that a trained network is evaluated on: those named on the command line, else those of its checkpoint."""

import logging
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from nas_reid.errors import ConfigError
from nas_reid.files.foreign import user_path
from nas_reid.files.of_run import file_of_run
from nas_reid.network.checkpoint import load_checkpoint
from nas_reid.run.invocation import Invocation

_DEFAULT = "synthetic"  # what is chosen in conf/evaluate.yaml

log = logging.getLogger(__name__)


def with_checkpoint_data(cfg: DictConfig, call: Invocation) -> DictConfig:
    """The configuration of an evaluation with the checkpoint's data set, unless the command line names one.

    Overrides of single keys (``data.workers=2``) are applied to it. ``data.image_size`` on the command line is honoured
    as ``image_size`` is.

    Raises:
        ConfigError: the folder of the checkpoint's data is gone; or two image sizes were given.
        CheckpointError: see ``load_checkpoint``.
    """
    given = {override.key_or_group: override.value() for override in _parsed(call.overrides)
             if override.key_or_group.partition(".")[0] == "data"}
    if call.data == _DEFAULT and "data" not in given and not OmegaConf.is_missing(cfg, "checkpoint"):
        cfg = OmegaConf.create(_plain(cfg) | {"data": _of_checkpoint(cfg, given)})
    size = given.get("data.image_size")
    if size is None:
        return cfg
    if cfg.image_size not in (None, size):
        raise ConfigError(f"image_size={cfg.image_size} and data.image_size={size} were given; give one of them")
    return OmegaConf.create(_plain(cfg) | {"image_size": size})


def _of_checkpoint(cfg: DictConfig, given: dict[str, Any]) -> dict[str, Any]:
    own = _plain(cfg.data, resolve=True)
    config = load_checkpoint(file_of_run(cfg.checkpoint)).get("config")
    data = config.get("data") if isinstance(config, dict) else None
    if not isinstance(data, dict) or "reader" not in data:  # of a pre-training, or from elsewhere
        log.warning("%s does not say which data set it was trained on: evaluating on data=%s, drawn people; data= "
                    "names another", cfg.checkpoint, own["name"])
        return own
    merged = OmegaConf.create(data | {key: own[key] for key in ("cache", "workers")})  # of this machine
    for key, value in given.items():
        OmegaConf.update(merged, key.removeprefix("data."), value, force_add=True)
    name, root = merged.get("name"), merged.get("root")
    if root is not None and not user_path(root).is_dir():
        raise ConfigError(f"{cfg.checkpoint} was trained on {name} in {root}, which is not here; name the folder "
                          "(data.root=DIR) or other data (data=market1501 data.root=DIR, data=synthetic)")
    where = f" in {root}" if root else f" of {merged.table}" if merged.get("table") else ", drawn people"
    log.info("evaluating on %s%s, as %s was trained on it; data= names another", name, where, cfg.checkpoint)
    return _plain(merged)


def _plain(cfg: DictConfig, *, resolve: bool = False) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(cfg, resolve=resolve)
    return plain


def _parsed(overrides: Sequence[str]) -> list[Any]:
    return OverridesParser.create().parse_overrides(list(overrides))
