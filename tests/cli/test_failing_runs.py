"""Runs that fail on their way: a full disk, a loss that is not finite. The last good checkpoint stays."""

import errno
import json
import os
import re
from pathlib import Path

import pytest
import torch

import nas_reid.search
from nas_reid.nas.bilevel import Bilevel
from tests.cli.commands import RETRAIN, SEARCH, invoke
from tests.cli.refusals import assert_nothing_half_written, assert_refused

pytestmark = pytest.mark.usefixtures("no_pictures")

GENOTYPE = ("genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]")


def fill_disk(monkeypatch: pytest.MonkeyPatch, pattern: str, *, count: int = 1) -> None:
    """From the ``count``-th file on whose name matches ``pattern``, the disk is full when it is flushed."""
    original, seen = os.fsync, iter(range(1, 1_000_000))

    def fsync(handle: int) -> None:
        if re.search(pattern, os.readlink(f"/proc/self/fd/{handle}")) and next(seen) >= count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(handle)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize(("pattern", "epochs"), [("last.pt", 1), ("epoch_002", 1), ("result.json", 2)])
def test_a_full_disk_keeps_the_last_checkpoint(pattern: str, epochs: int, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fill_disk(patch, pattern, count=2 if pattern == "last.pt" else 1)
        outcome = invoke("search", *SEARCH, f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, "No space left on device", "[Ff]ree (some )?space|free some disk space|Check free space")
    assert torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)["epoch"] == epochs
    assert not (tmp_path / "result.json").exists()
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()], "a temporary file was left"
    assert invoke("search", *SEARCH, f"hydra.run.dir={tmp_path}").code == 0, "it does not continue"


def test_a_full_disk_while_decoding_leaves_no_store(no_data: Path, drawn: Path, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    fill_disk(monkeypatch, r"\.images")
    settings = [override for override in SEARCH if not override.startswith("data.synthetic")]
    outcome = invoke("search", *settings, "data=market1501", f"data.root={drawn}", f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, "No space left on device", "data.cache")
    assert not [path for path in no_data.rglob("*") if path.is_file()]


def test_a_loss_that_is_not_finite_names_itself_and_keeps_the_last_good_checkpoint(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epoch 1 is sound; the third step of epoch 2 (of four in an epoch) is not."""
    original, calls = nas_reid.search.step_weights, iter(range(1, 1_000))

    def step_weights(*arguments: object, **keywords: object) -> dict[str, torch.Tensor]:
        terms = original(*arguments, **keywords)
        return terms | {"search/loss_weights": torch.tensor(torch.nan)} if next(calls) == 7 else terms

    monkeypatch.setattr(nas_reid.search, "step_weights", step_weights)
    outcome = invoke("search", *SEARCH, f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, "NonFiniteError: search/loss_weights became nan at epoch 2, step 3",
                   "last good checkpoint is kept", "[Ll]ower the learning rate")
    assert torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)["epoch"] == 1
    assert json.loads((tmp_path / "genotype.json").read_text())["provenance"]["epoch"] == 1
    assert not (tmp_path / "result.json").exists()


def test_weights_spoilt_by_the_last_step_of_an_epoch_are_not_saved(tmp_path: Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    """No loss shows it: the next one would be of the next epoch."""
    original, calls = nas_reid.search.step_weights, iter(range(1, 1_000))

    def step_weights(bilevel: Bilevel, *arguments: object, **keywords: object) -> dict[str, torch.Tensor]:
        terms = original(bilevel, *arguments, **keywords)
        if next(calls) == 8:
            next(bilevel.network.parameters()).data[0] = torch.inf
        return terms

    monkeypatch.setattr(nas_reid.search, "step_weights", step_weights)
    outcome = invoke("search", *SEARCH, f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, r"NonFiniteError: trunk\S+ is not finite after epoch 2", "last good checkpoint is kept")
    assert torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)["epoch"] == 1


@pytest.mark.parametrize(("command", "arguments"), [
    ("search", (*SEARCH, "weights.lr=1e30")), ("retrain", (*RETRAIN, *GENOTYPE, "optimizer.lr=1e30"))])
def test_a_huge_learning_rate_ends_in_a_message(command: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    outcome = invoke(command, *arguments, f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, rf"NonFiniteError: {command}/\w+ became (nan|inf)", "at epoch 1, step [2-9]")
    assert_nothing_half_written(tmp_path)
