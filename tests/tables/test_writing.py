"""Which trainings belong into one table."""

from typing import Any

import pytest

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
