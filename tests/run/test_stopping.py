"""SIGTERM and SIGHUP end a command as Ctrl-C does, unless somebody else handles them."""

import os
import signal
import threading

import pytest

from nas_reid.run.stopping import stoppable


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_cleans_up_and_its_repetition_does_not_interrupt_that(
        number: int, code: int, capsys: pytest.CaptureFixture) -> None:
    cleaned = []
    with pytest.raises(SystemExit) as caught, stoppable():
        try:
            os.kill(os.getpid(), number)
            pytest.fail("it went on")
        finally:
            os.kill(os.getpid(), number)
            cleaned.append(True)
    assert cleaned and caught.value.code == code
    assert capsys.readouterr().err == f"stopped by {signal.Signals(number).name}\n"
    assert signal.getsignal(number) is signal.SIG_DFL


def test_handlers_of_others_and_ignored_signals_stay() -> None:
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append(True)), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
        assert seen and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGHUP, before[1])


def test_another_thread_is_left_alone() -> None:
    failures = []

    def work() -> None:
        try:
            with stoppable():
                pass
        except ValueError as error:  # signals can be handled in the main thread alone
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []
