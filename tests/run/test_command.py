"""The device of a job, and what an error becomes at the door."""

import logging

import pytest
import torch

import nas_reid.run.command as command
from nas_reid.errors import ConfigError, DataError
from nas_reid.run.command import CommandError, select_device


def test_auto_is_the_cpu_without_a_gpu_and_spreads_jobs_over_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert select_device("auto", job=3) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [select_device("auto", job=job).index for job in range(4)] == [0, 1, 0, 1]


def test_a_named_device_is_taken_as_it_is() -> None:
    assert select_device("cpu", job=3) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "cpu,cuda"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"device='{name}' cannot be used by torch .*; use auto, cpu"):
        select_device(name)


def test_a_users_error_becomes_its_message_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CommandError, match=r"^DataError: no images$"), command._readable_errors():
        raise DataError("no images")
    assert [record.message for record in caplog.records] == ["no images"]
    assert caplog.records[0].exc_info is None


def test_an_error_of_the_system_says_what_to_do() -> None:
    with pytest.raises(CommandError, match=r"No space left.*Check free space and permissions.*last checkpoint"), \
            command._readable_errors():
        raise OSError(28, "No space left on device")


def test_any_other_error_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), command._readable_errors():
        _ = 1 / 0
    assert caplog.records[0].levelno == logging.ERROR and caplog.records[0].exc_info[0] is ZeroDivisionError
