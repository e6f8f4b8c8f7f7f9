"""What a command answers before it imports what it works with."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nas_reid.config.schemas import SCHEMAS
from nas_reid.run.door import quiet

EVERY_HELP = f"""
import sys
from nas_reid.run.door import enter
for command in {list(SCHEMAS)}:
    sys.argv = [command, "--help"]
    try:
        enter(command)
    except SystemExit as end:
        assert not end.code, end
    else:
        raise AssertionError(command)
sys.argv = ["search", "-sc", "query=bash"]
try:
    enter("search")
except SystemExit:
    pass
assert "torch" not in sys.modules and "numpy" not in sys.modules
"""


def test_help_and_completion_of_every_command_need_no_torch() -> None:
    line = "nas-reid-search space=nor"
    process = subprocess.run([sys.executable, "-c", EVERY_HELP], capture_output=True, text=True, timeout=300,
                             env={**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))})
    assert process.returncode == 0, process.stderr
    for command in SCHEMAS:
        assert f"python -m nas_reid.{command} " in process.stdout
    assert "algorithm: balanced_paths, darts, " in process.stdout and "\nepochs: 10\n" in process.stdout
    assert process.stdout.rstrip().endswith("space=norm_sites")


def test_every_command_enters_by_the_door_before_its_imports() -> None:
    import nas_reid
    for command in SCHEMAS:
        code = (Path(nas_reid.__file__).parent / f"{command}.py").read_text(encoding="utf-8")
        first = code.split('"""', 2)[2].split()[:10]
        assert " ".join(first) == ('if __name__ == "__main__": from nas_reid.run.door import enter '
                                   f'enter("{command}") #')


def test_ctrl_c_during_the_imports_leaves_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    process = subprocess.run([sys.executable, "-m", "nas_reid.search"], capture_output=True, text=True, timeout=60,
                             env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert (process.returncode, process.stderr) == (-signal.SIGINT, "stopped by Ctrl-C\n")


def test_a_command_line_that_cannot_be_composed_is_left_to_those_who_can_say_why(
        monkeypatch: pytest.MonkeyPatch) -> None:
    from nas_reid.run import door
    monkeypatch.setattr(sys, "argv", ["search", "--help", "epohcs=1"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    door.enter("search")  # returns
    from nas_reid.run.compose import settings
    assert settings("search").epochs == 10  # and the types of the values are as they were


def test_a_ctrl_c_is_told_once_and_everything_else_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[type] = []
    hook = quiet(lambda kind, *_: seen.append(kind), say="stopped")
    hook(KeyboardInterrupt, KeyboardInterrupt(), None)
    hook(ValueError, ValueError(), None)
    quiet(hook)(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "stopped\n" and seen == [ValueError]
