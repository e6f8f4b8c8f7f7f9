"""What an error becomes at the door."""

import io
import logging
import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import nas_reid.run.command as command
from nas_reid.errors import DataError
from nas_reid.run.command import CommandError, WritableOutput
from nas_reid.run.sole_run import one_of_several
from tests.cli.commands import invoke


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


@pytest.mark.parametrize("name", ["select", "tabulate", "describe"])
def test_one_of_several_processes_is_refused_before_anything_is_written(name: str, tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    outcome = invoke(name, f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 1 and "WORLD_SIZE=2: this run is one process" in outcome.err
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert one_of_several() is None


def test_output_folders_may_be_named_from_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = OmegaConf.create({"hydra": {"run": {"dir": "~/run"}, "sweep": {"dir": "~/sweep"}}})
    OmegaConf.set_readonly(config, True)
    WritableOutput().on_run_start(config)
    WritableOutput().on_multirun_start(config)
    assert (config.hydra.run.dir, config.hydra.sweep.dir) == (f"{tmp_path}/run", f"{tmp_path}/sweep")
    assert (tmp_path / "run").is_dir() and (tmp_path / "sweep").is_dir() and not Path("~").exists()


@pytest.mark.parametrize("value", ["{}", '"{}"'])
def test_bytes_that_are_no_utf8_are_refused_before_anything_is_written(value: str, tmp_path: Path) -> None:
    name = value.format(os.fsdecode(b"a\xb2.json"))
    outcome = invoke("describe", f"genotype={name}", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 1 and "\\udcb2.json" in outcome.err and "has bytes that are no UTF-8" in outcome.err
    assert not (tmp_path / "run").exists()
