"""Fixed residual networks through the commands."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import RETRAIN, invoke
from tests.cli.refusals import assert_nothing_half_written, assert_refused

SMALL = ("network.channels=8", "network.stem_channels=8")


def test_there_is_nothing_to_search(no_data: Path, tmp_path: Path) -> None:
    outcome = invoke("search", "space=resnet", f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, "ConfigError: .*nothing to search", r"nas_reid\.retrain genotype=", "resnet/resnet50_ibn_a")
    assert not no_data.exists()
    assert_nothing_half_written(tmp_path / "run")


@pytest.mark.usefixtures("no_pictures")
def test_a_residual_network_is_retrained_by_name(tmp_path: Path) -> None:
    outcome = invoke("retrain", *RETRAIN, *SMALL, "epochs=1", "optimizer.warmup_epochs=0",
                     "genotype=resnet/resnet18_ibn_a", f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["space"] == "resnet" and 0 < result["metrics"]["mAP"] <= 1


def test_a_residual_network_is_described(tmp_path: Path) -> None:
    outcome = invoke("describe", "genotype=resnet/resnet50", "num_classes=1000", "image_size=[224,224]",
                     "network.last_stride=2", f"hydra.run.dir={tmp_path}")
    summary = json.loads(outcome.out.splitlines()[-1])
    assert summary["params"] == 25_557_032  # torchvision's resnet50
    assert summary["macs"] == pytest.approx(4.09e9, rel=2e-3)


def test_an_argument_that_it_does_not_have(no_data: Path, tmp_path: Path) -> None:
    outcome = invoke("retrain", *RETRAIN, "genotype=resnet/resnet18", "network.depth=20",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, r"ConfigError: network\.depth=20 is unknown; known are: 18, 34, 50, 101, 152")
    assert not no_data.exists()
