"""Locks: one holder, across threads and processes, and none after its death."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nas_reid.files import lock
from nas_reid.files.lock import LockHeld, holding

HOLDER = """
import sys
from pathlib import Path
from nas_reid.files.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen:
    """A process that holds the lock until its standard input ends."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_it_is_held_once_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    for _ in range(2):
        with holding(path) as locked:
            assert locked is True and path.exists()
            with pytest.raises(LockHeld, match=rf"process {os.getpid()} on \S+"), holding(path):
                pytest.fail("held twice")
        assert list(path.parent.iterdir()) == []


def test_an_exception_releases_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), holding(tmp_path / "lock"):
        raise ZeroDivisionError
    with holding(tmp_path / "lock") as locked:
        assert locked


def test_another_process_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder(path)
    try:
        with pytest.raises(LockHeld, match=f"process {process.pid} on "), holding(path):
            pytest.fail("two processes hold it")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert path.exists(), "nobody could remove it"
    with holding(path) as locked:
        assert locked
    assert not path.exists()


def test_who_waits_gets_it_when_the_other_ends(tmp_path: Path) -> None:
    path, told = tmp_path / "lock", []
    process = holder(path)

    def wait(who: str) -> None:
        told.append(who)
        process.stdin.close()

    with holding(path, wait=wait) as locked:
        assert locked and told[0].startswith(f"process {process.pid} on ")
    process.wait()
    process.stdout.close()


def test_never_two_at_once_though_the_file_comes_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holder removes the file that others have already opened."""
    monkeypatch.setattr(lock, "POLL_S", 0.0)
    inside, rounds = [], []

    def work() -> None:
        for _ in range(50):
            with holding(tmp_path / "lock", wait=lambda _: None):
                inside.append(1)
                rounds.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rounds == [1] * 200
    assert list(tmp_path.iterdir()) == []


class NoLocks:
    """A file system that knows no locks."""

    LOCK_EX, LOCK_NB = 2, 4

    @staticmethod
    def flock(handle: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")


@pytest.mark.parametrize("module", [NoLocks, None])
def test_without_locks_it_goes_on_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              module: type | None) -> None:
    monkeypatch.setattr(lock, "fcntl", module)
    with holding(tmp_path / "lock") as first, holding(tmp_path / "lock") as second:
        assert (first, second) == (False, False)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_of_somebody_else_can_be_locked(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch(mode=0o444)
    with holding(path) as locked:
        assert locked


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError), holding(tmp_path / "file" / "lock"):
        pytest.fail("a file is no folder")
