"""A run is never continued under another configuration."""

from pathlib import Path

import pytest

from nas_reid.errors import CheckpointError
from nas_reid.run.same_config import differing_keys, require_same_config

CONFIG = {"seed": 0, "data": {"workers": 2, "root": None, "image_size": [128, 64]}, "wandb": {"mode": "offline"},
          "resume": "auto", "threads": None}


def test_differing_keys_are_dotted_and_show_both_values() -> None:
    other = {**CONFIG, "seed": 1, "data": {**CONFIG["data"], "image_size": [64, 32]}, "extra": True}
    assert differing_keys(CONFIG, other) == ["data.image_size: [128, 64] -> [64, 32]", "extra: None -> True",
                                             "seed: 0 -> 1"]
    assert differing_keys(CONFIG, CONFIG) == []
    assert differing_keys({"a": {"b": 1}}, {"a": None}) == ["a: {'b': 1} -> None"]


def test_another_configuration_is_refused_with_every_difference() -> None:
    other = {**CONFIG, "seed": 1, "data": {**CONFIG["data"], "root": "elsewhere"}}
    with pytest.raises(CheckpointError, match=r"last\.pt belongs to another configuration: data\.root: None -> "
                                              r"elsewhere; seed: 0 -> 1\. Use the saved values, resume=never, or"):
        require_same_config(Path("last.pt"), CONFIG, other)


def test_keys_without_influence_on_the_result_may_change() -> None:
    other = {**CONFIG, "wandb": {"mode": "online"}, "resume": "never", "threads": 1,
             "data": {**CONFIG["data"], "workers": 8}}
    assert len(differing_keys(CONFIG, other)) == 4
    require_same_config(Path("last.pt"), CONFIG, other)
    with pytest.raises(CheckpointError, match="configuration: threadsafe: None -> 1"):
        require_same_config(Path("last.pt"), CONFIG, {**other, "threadsafe": 1})  # a prefix is not the key
