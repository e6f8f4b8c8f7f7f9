"""The device of a job, and what an error becomes at the door."""

import io
import logging
import os
from pathlib import Path

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


def test_logs_take_file_names_that_are_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    handlers = [logging.StreamHandler(stream), logging.FileHandler(tmp_path / "job.log", encoding="utf-8", delay=True),
                logging.FileHandler(tmp_path / "open.log", encoding="utf-8")]
    monkeypatch.setattr(logging.getLogger(), "handlers", handlers)
    command._log_any_file_name()
    logging.getLogger("any").warning("left out %s", os.fsdecode(b"\xb2\xe2.jpg"))
    for handler in handlers:
        handler.flush()
    written = [stream.buffer.getvalue(), *(handler.stream.close() or Path(handler.baseFilename).read_bytes()
                                           for handler in handlers[1:])]
    assert written == [b"left out \\udcb2\\udce2.jpg\n"] * 3 and "Traceback" not in capsys.readouterr().err
