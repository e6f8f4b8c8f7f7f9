"""Training on to more epochs than a run had: as if it had had them from the start, where nothing depends on it."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.cli.commands import RETRAIN, SEARCH, invoke
from tests.cli.refusals import assert_refused
from tests.cli.test_resume import finished, flat, metrics

pytestmark = pytest.mark.usefixtures("no_pictures")

CONSTANT = {"search": (*SEARCH, "weights.schedule=constant"),
            "retrain": (*RETRAIN, "genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]",
                        "optimizer.warmup_epochs=0", "optimizer.schedule=multi_step", "optimizer.milestones=[1]",
                        "ema=0.9")}


@pytest.mark.parametrize("command", CONSTANT)
def test_an_extended_run_is_bit_equal_to_one_that_was_long_from_the_start(command: str, tmp_path: Path) -> None:
    whole, extended, arguments = tmp_path / "whole", tmp_path / "extended", CONSTANT[command]
    finished(command, whole, *arguments, "epochs=2")
    finished(command, extended, *arguments, "epochs=1")
    refused = invoke(command, *arguments, "epochs=2", f"hydra.run.dir={extended}")
    assert_refused(refused, "belongs to another configuration: epochs: 1 -> 2. To train on to the end of more epochs: "
                            "resume=extend")
    outcome = finished(command, extended, *arguments, "epochs=2", "resume=extend")
    assert f"continuing {extended} after epoch 1" in outcome.out
    first, second = (flat(torch.load(run / "checkpoints" / "last.pt", weights_only=True)) for run in (whole, extended))
    assert first.keys() == second.keys()
    for key, value in first.items():
        same = torch.equal(value, second[key]) if isinstance(value, Tensor) else value == second[key]
        assert same or key == ".config.resume", key
    assert metrics(whole) == metrics(extended)
    results = [json.loads((run / "result.json").read_text()) for run in (whole, extended)]
    assert results[0]["selection"] == results[1]["selection"] and results[0]["metrics"] == results[1]["metrics"]
    assert "is complete already" in finished(command, extended, *arguments, "epochs=2", "resume=extend").out


def test_what_depends_on_the_number_of_epochs_is_named(tmp_path: Path) -> None:
    finished("search", tmp_path, *SEARCH, "epochs=1")
    before = (tmp_path / "result.json").read_bytes()
    for resume in ("auto", "extend"):
        outcome = invoke("search", *SEARCH, "epochs=2", f"resume={resume}", f"hydra.run.dir={tmp_path}")
        assert_refused(outcome, "epochs: 1 -> 2. More epochs make it another training from its first step: "
                                "weights.schedule=cosine ends with the last epoch. Use the saved values")
    assert (tmp_path / "result.json").read_bytes() == before
