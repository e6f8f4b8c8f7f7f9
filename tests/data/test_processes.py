"""Processes that work for another: in order, and never longer than it lives."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nas_reid.data.processes import mapper

WORK = """
import os, sys, time
from pathlib import Path
from nas_reid.data.processes import mapper

def work(item):
    (Path(sys.argv[1]) / str(os.getpid())).write_text(str(item))
    time.sleep(10 if "stop" in sys.argv and item > 40 else 0.01)

if __name__ == "__main__":
    with mapper(2) as run:
        for item in run(work, range(100_000)):
            if "stop" in sys.argv and item is None:
                raise KeyboardInterrupt
"""


def started(folder: Path, *arguments: str) -> tuple[subprocess.Popen, list[int]]:
    """A process with two workers that are at work, and the workers' numbers."""
    script = folder / "work.py"
    script.write_text(WORK)
    (folder / "workers").mkdir()
    process = subprocess.Popen([sys.executable, str(script), str(folder / "workers"), *arguments], text=True,
                               stderr=subprocess.PIPE)
    wait_until(lambda: len(list((folder / "workers").iterdir())) == 2)
    return process, [int(path.name) for path in (folder / "workers").iterdir()]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs, from Linux's ``/proc``; one that ended and that nobody asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    process, workers = started(tmp_path)
    assert all(is_alive(pid) for pid in workers)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(is_alive(pid) for pid in workers), seconds=10)


def test_an_exception_in_the_parent_does_not_wait_for_all_that_was_asked_for(tmp_path: Path) -> None:
    process, workers = started(tmp_path, "stop")
    assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]  # 100,000 items would take days
    assert not any(is_alive(pid) for pid in workers)


def test_a_script_is_not_run_again_by_its_workers(tmp_path: Path) -> None:
    script = tmp_path / "plain.py"
    script.write_text("import sys\nfrom functools import partial\nfrom nas_reid.data.processes import mapper\n"
                      "print('began')\nwith mapper(2) as run:\n    print(*run(partial(pow, 2), range(3)))\n"
                      "assert __file__ == sys.argv[0] and __spec__ is None\n")
    done = subprocess.run([sys.executable, str(script)], text=True, capture_output=True)
    assert done.returncode == 0 and done.stdout == "began\n1 2 4\n", done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int) -> None:
    with mapper(workers) as run:
        assert list(run(abs, range(-40, 0))) == list(range(40, 0, -1))
