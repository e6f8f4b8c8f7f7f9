"""Ctrl-C and SIGTERM: one message that says where the run stands, and a line that continues it when it is pasted."""

import os
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import nas_reid.retrain
import nas_reid.run.search_data
import nas_reid.search
from tests.cli.commands import RETRAIN, SEARCH, Outcome, invoke

pytestmark = pytest.mark.usefixtures("no_pictures")


def interrupt(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, number: int, *, call: int) -> None:
    """Send this process a signal as ``owner.name`` is about to be called for the ``call``-th time (from 1)."""
    original, calls = getattr(owner, name), iter(range(1, 1_000_000))

    def counted(*arguments: object, **keywords: object) -> object:
        if next(calls) == call:
            os.kill(os.getpid(), number)
        return original(*arguments, **keywords)

    monkeypatch.setattr(owner, name, counted)


def stopped(capsys: pytest.CaptureFixture, *line: object) -> tuple[int | None, str]:
    """Exit code (None: by SIGINT) and standard error of a command that a signal stops."""
    hook, error = sys.excepthook, ""
    try:
        outcome = invoke(*line)
        return outcome.code, outcome.err
    except KeyboardInterrupt as stop:
        error = "\n".join(stop.__notes__)
        assert sys.excepthook is not hook and sys.excepthook(type(stop), stop, stop.__traceback__) is None
        assert capsys.readouterr().err == "", "something but the message is shown"
        return None, error
    finally:
        sys.excepthook = hook


def pasted(message: str) -> Outcome:
    """What the printed line does."""
    line = message[message.index("python -m nas_reid."):].strip()
    module, *overrides = shlex.split(line)[2:]
    return invoke(module.removeprefix("nas_reid."), *overrides)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, None), (signal.SIGTERM, 143)])
def test_a_stopped_search_says_where_it_stands_and_its_line_continues_it(
        number: int, code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    folder, before = tmp_path / "it's {x}, a=b [ünï ﷽]", signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        interrupt(patch, nas_reid.search, "step_weights", number, call=6)  # four steps make an epoch
        quoted = str(folder).replace("'", "\\'")
        found, message = stopped(capsys, "search", *SEARCH, "resume=never", f"hydra.run.dir='{quoted}'")
    assert found == code and signal.getsignal(signal.SIGTERM) is before
    assert "the run stands after epoch 1 of 2; to continue it: python -m nas_reid.search" in message
    assert "Traceback" not in message and "resume=never" not in message
    assert "after epoch 1 of 2" in (folder / "search.log").read_text()
    outcome = pasted(message)
    assert outcome.code == 0 and f"continuing {folder} after epoch 1" in outcome.out
    following = shlex.split(re.search(r"next: (.*)", outcome.out)[1])
    assert OverridesParser.create().parse_override(following[3]).value() == str(folder / "genotype.json")


@pytest.mark.parametrize(("owner", "name", "expected"), [
    (nas_reid.search, "step_weights", "the run stands before the end of its first epoch; to repeat it: "),
    (nas_reid.run.search_data, "open_source", "the run stands before its training began; to repeat it: "),
    (nas_reid.search, "finished_result", "to repeat the command: ")])
def test_a_search_that_had_not_got_far_says_so(owner: object, name: str, expected: str, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    interrupt(monkeypatch, owner, name, signal.SIGINT, call=1)
    _, message = stopped(capsys, "search", *SEARCH, "resume=never", f"hydra.run.dir={tmp_path}")
    assert message.startswith(f"{expected}python -m nas_reid.search ")
    assert ("resume=never" in message) == (name != "step_weights"), "what is in the folder would be taken up, or lost"


def test_a_retraining_stopped_in_its_last_stage_stands_after_its_last_epoch(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    arguments = (*RETRAIN, "epochs=1", "optimizer.warmup_epochs=0", "genotype=auto_reid/retrieval",
                 "network.channels=4", "network.layers=[1,1]")
    interrupt(monkeypatch, nas_reid.retrain, "export_safetensors", signal.SIGINT, call=1)
    _, message = stopped(capsys, "retrain", *arguments, f"hydra.run.dir={tmp_path}")
    assert "the run stands after epoch 1 of 1; to continue it: python -m nas_reid.retrain" in message
