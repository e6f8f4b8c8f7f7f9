"""Which data an evaluation is about: those of the checkpoint, unless the command line names others."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import nas_reid.evaluate
from nas_reid.network.checkpoint import load_checkpoint, save_checkpoint
from nas_reid.network.streams import warn_of_a_single_modality
from tests.cli.commands import Outcome, invoke
from tests.cli.refusals import assert_refused
from tests.cli.trained_checkpoint import save_trained


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nas_reid.evaluate, "draw_retrieval", lambda *_, **__: [])


@pytest.fixture
def market(retrained: tuple[Path, Outcome], drawn: Path, tmp_path: Path) -> Path:
    """The retrained network, as if it had been trained on a Market-1501 in ``tmp_path``."""
    shutil.copytree(drawn, tmp_path / "market", ignore=shutil.ignore_patterns("synthetic.json"))
    state = load_checkpoint(retrained[0] / "checkpoints" / "best.pt")
    config = state.pop("config")
    config["data"] |= {"name": "market1501", "synthetic": None, "root": str(tmp_path / "market")}
    save_checkpoint(tmp_path / "best.pt", state, config=config)
    return tmp_path / "best.pt"


def result(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


@pytest.mark.usefixtures("no_drawing")
def test_without_a_word_it_is_the_checkpoints(market: Path, retrained: tuple[Path, Outcome], tmp_path: Path) -> None:
    outcome = invoke("evaluate", f"checkpoint={market}", "data.workers=1", f"hydra.run.dir={tmp_path / 'a'}")
    assert outcome.code == 0, outcome.err
    assert f"evaluating on market1501 in {tmp_path / 'market'}, as {market} was trained on it" in outcome.out
    found = result(tmp_path / "a")
    assert found["data"] == "market1501" and found["image_size"] == [32, 16]
    assert found["metrics"] == result(retrained[0])["metrics"] and found["config"]["data"]["workers"] == 1
    shutil.move(tmp_path / "market", tmp_path / "moved")
    refused = invoke("evaluate", f"checkpoint={market}", f"hydra.run.dir={tmp_path / 'b'}")
    assert_refused(refused, r"best\.pt was trained on market1501 in \S+market, which is not here; name the folder")
    outcome = invoke("evaluate", f"checkpoint={market}", f"data.root={tmp_path / 'moved'}", "data.image_size=[48,24]",
                     f"hydra.run.dir={tmp_path / 'c'}")
    assert outcome.code == 0 and result(tmp_path / "c")["image_size"] == [48, 24]


def test_two_image_sizes_are_one_too_many(market: Path, tmp_path: Path) -> None:
    outcome = invoke("evaluate", f"checkpoint={market}", "image_size=[32,16]", "data.image_size=[48,24]",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, r"image_size=\[32, 16\] and data\.image_size=\[48, 24\] were given; give one of them")


def test_a_checkpoint_that_does_not_say_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_trained(tmp_path / "best.pt")
    seen = []
    monkeypatch.setattr(nas_reid.evaluate, "run", lambda settings, *_, **__: seen.append(settings.data) or {"mAP": 0.0})
    outcome = invoke("evaluate", f"checkpoint={tmp_path / 'best.pt'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0 and seen[0].name == "synthetic"
    assert "does not say which data set it was trained on: evaluating on data=synthetic, drawn people" in outcome.out


def test_two_streams_and_one_modality(caplog: pytest.LogCaptureFixture) -> None:
    network = torch.nn.Sequential(torch.nn.Identity())
    warn_of_a_single_modality(network, torch.zeros(3), data="mine")
    network[0].streams = 2
    warn_of_a_single_modality(network, torch.tensor([0, 1]), data="mine")
    assert caplog.messages == []
    warn_of_a_single_modality(network, torch.zeros(3), data="mine")
    warn_of_a_single_modality(network, torch.ones(3), data="mine")
    assert [message.partition(", whose")[0] for message in caplog.messages] == [
        "all images of mine are visible and the network treats infrared ones apart",
        "all images of mine are infrared and the network treats visible ones apart"]
