"""Estimators and remedies of a search by the real command, stopped in its second epoch and continued bit for bit."""

from pathlib import Path

import pytest

import nas_reid.search
from tests.cli.commands import SEARCH, invoke
from tests.cli.test_resume import Stopped, assert_same_run, finished, stop_at

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.mark.parametrize("arguments", [
    ("algorithm=reinmax", "space.channels=6", "space.partial=2"),
    ("algorithm=sdarts", "algorithm.perturbation=adversarial", "algorithm.perturbation_steps=2")], ids=" ".join)
def test_a_search_continues_bit_for_bit(arguments: tuple[str, ...], tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (*SEARCH, *arguments)
    finished("search", tmp_path / "whole", *arguments)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_at(patch, nas_reid.search, "step_weights", call=6)
        invoke("search", *arguments, f"hydra.run.dir={tmp_path / 'stopped'}")
    finished("search", tmp_path / "stopped", *arguments)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")
