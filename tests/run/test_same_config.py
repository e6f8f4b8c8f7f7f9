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


LONGER = {"epochs": 3, "resume": "extend", "weights": "best.pt", "drop_path": 0.0,
          "optimizer": {"schedule": "multi_step"}, "alphas": {"schedule": "constant"},
          "algorithm": {"temperature": {"schedule": "step", "start": 9, "end": 1}, "regularisers": {"entropy": 0.1},
                        "perturbation": "none", "perturbation_size": [0.1, 0.3]}}


def test_a_run_is_extended_where_nothing_depends_on_the_number_of_epochs() -> None:
    require_same_config(Path("last.pt"), {**LONGER, "epochs": 2}, LONGER)
    with pytest.raises(CheckpointError, match=r"epochs: 2 -> 3\. To train on to the end of more epochs: resume=extend"):
        require_same_config(Path("last.pt"), {**LONGER, "epochs": 2}, {**LONGER, "resume": "auto"})
    for saved in ({"epochs": 4}, {"epochs": 2, "drop_path": 0.1}):
        with pytest.raises(CheckpointError, match=r"-> \S+\. Use the saved values"):
            require_same_config(Path("last.pt"), {**LONGER, **saved}, LONGER)


@pytest.mark.parametrize(("change", "reason"), [
    ({"optimizer": {"schedule": "cosine"}}, "optimizer.schedule=cosine"), ({"drop_path": 0.1}, "drop_path grows"),
    ({"algorithm": {"temperature": {"schedule": "linear", "start": 9, "end": 1}}}, "algorithm.temperature.schedule="),
    ({"algorithm": {"regularisers": {"entropy": [0, 1]}}}, r"algorithm.regularisers.entropy=\[0, 1\] goes"),
    ({"algorithm": {"perturbation": "random", "perturbation_size": [0.1, 0.3]}}, "algorithm.perturbation_size grows")])
def test_what_depends_on_the_number_of_epochs_is_named(change: dict, reason: str) -> None:
    with pytest.raises(CheckpointError, match=rf"another training from its first step: {reason}"):
        require_same_config(Path("last.pt"), {**LONGER, **change, "epochs": 2}, {**LONGER, **change})


def test_keys_without_influence_on_the_result_may_change() -> None:
    other = {**CONFIG, "wandb": {"mode": "online"}, "resume": "never", "threads": 1,
             "data": {**CONFIG["data"], "workers": 8}}
    assert len(differing_keys(CONFIG, other)) == 4
    require_same_config(Path("last.pt"), CONFIG, other)
    with pytest.raises(CheckpointError, match="configuration: threadsafe: None -> 1"):
        require_same_config(Path("last.pt"), CONFIG, {**other, "threadsafe": 1})  # a prefix is not the key
