"""Pipes, sockets, devices and folders are named, not opened."""

import os
import socket
from pathlib import Path

import pytest

from nas_reid.files.regular import NotARegularFile, open_regular, read_regular, require_regular


@pytest.fixture
def others(tmp_path: Path) -> dict[str, Path]:
    """What is no regular file: word of the message -> path."""
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
    (tmp_path / "link.jpg").symlink_to(tmp_path / "pipe.jpg")
    return {"pipe": tmp_path / "pipe.jpg", "FIFO": tmp_path / "link.jpg", "socket": tmp_path / "s",
            "device": Path("/dev/zero"), "folder": tmp_path}


def test_other_kinds_are_named_at_once(others: dict[str, Path]) -> None:
    for kind, path in others.items():
        for read in (require_regular, open_regular, read_regular):
            with pytest.raises(NotARegularFile) as caught:
                read(path)
            assert kind in str(caught.value) and str(caught.value) == caught.value.strerror
            assert caught.value.filename == str(path)


def test_files_and_links_to_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for path in (tmp_path / "file", tmp_path / "link", str(tmp_path / "file")):
        with open_regular(path) as opened:
            assert opened.read() == b"content"
    assert read_regular(tmp_path / "link") == b"content"
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "absent")
