"""Configurations as Hydra composes them, for tests."""

from functools import cache
from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from nas_reid.config.loading import load
from nas_reid.config.schemas import SCHEMAS

GENOTYPE = ["genotype=auto_reid/baseline"]
MANDATORY = {"search": [], "retrain": GENOTYPE, "evaluate": ["checkpoint=best.pt"], "describe": GENOTYPE,
             "pretrain": GENOTYPE, "export": ["checkpoint=best.pt"],
             "extract": ["checkpoint=best.pt", "images=folder"], "tabulate": [], "select": ["search=folder"],
             "inspect": [],
             "find": ["checkpoint=best.pt", "query=a.jpg", "gallery=folder"],
             "compare": ["runs=folder"]}


def settings(name: str, *overrides: str) -> Any:
    """The checked configuration of a command."""
    return load(compose(name, [*MANDATORY[name], *overrides]), SCHEMAS[name])


@cache
def defaults(name: str) -> dict[str, Any]:
    """The composed configuration without overrides."""
    return OmegaConf.to_container(compose(name, MANDATORY[name]))


def changed(name: str, *overrides: str) -> Any:
    """As ``settings`` for plain values, without composing again."""
    return load(OmegaConf.merge(defaults(name), OmegaConf.from_dotlist(list(overrides))), SCHEMAS[name])
