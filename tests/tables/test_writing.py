"""Which trainings belong into one table."""

from pathlib import Path
from typing import Any

import pytest

import nas_reid.tables
from nas_reid.config.loading import to_plain
from nas_reid.run.compose import settings
from nas_reid.tables import Table
from nas_reid.tables.writing import recipe_digest

RECIPE: dict[str, Any] = {"genotype": "a", "seed": 0, "epochs": 20, "ema": 0.0, "optimizer": {"lr": 0.1, "name": "sgd"},
                          "data": {"root": None, "cache": "here", "workers": 2, "image_size": [64, 32]}}


def changed(**values: Any) -> dict[str, Any]:
    return {**RECIPE, **values}


@pytest.mark.parametrize("alike", [
    {"genotype": "b"}, {"seed": 3}, {"data": RECIPE["data"] | {"cache": "there", "workers": 8}},
    {"weights": None}, {"compile": False}, {"optimizer": RECIPE["optimizer"] | {"nesterov": False, "steps": None}},
])
def test_what_changes_no_result_or_is_off_does_not_count(alike):
    assert recipe_digest(changed(**alike)) == recipe_digest(RECIPE)


@pytest.mark.parametrize("other", [
    {"epochs": 21}, {"compile": True}, {"optimizer": RECIPE["optimizer"] | {"lr": 0.2}},
    {"optimizer": RECIPE["optimizer"] | {"nesterov": True}}, {"data": RECIPE["data"] | {"image_size": [64, 64]}},
])
def test_what_decides_the_result_counts(other):
    assert recipe_digest(changed(**other)) != recipe_digest(RECIPE)


SHIPPED = sorted(Path(nas_reid.tables.__file__).parent.glob("*.jsonl"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_table_that_ships_can_be_continued(path: Path) -> None:
    """Its lines are of the recipe that the experiment of its space has today."""
    recipe = settings("retrain", [f"experiment=table_{path.stem}", "genotype=by_lot", "device=cpu"])
    assert Table(path.stem).recipe == recipe_digest(to_plain(recipe))
