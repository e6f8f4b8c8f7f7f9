"""Text and paths of other systems are understood."""

import os
from pathlib import Path

import pytest

from nas_reid.files.foreign import read_text, to_bytes, user_path


@pytest.mark.parametrize("content", ["a é\n".encode(), "a é\n".encode("utf-8-sig"), "\ufeffa é\n".encode("utf-16-le"),
                                     "\ufeffa é\n".encode("utf-16-be")])
def test_text_is_read_without_its_byte_order_mark(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    assert read_text(tmp_path / "list.txt") == "a é\n"


def test_names_that_are_not_utf8_find_their_files_and_are_written_as_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"1_c1_\xb2\xe2.jpg")
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "list.txt").write_bytes(os.fsencode(name))
    assert (tmp_path / read_text(tmp_path / "list.txt")).exists()
    assert to_bytes(f"é {name}").decode("utf-8") == r"é 1_c1_\udcb2\udce2.jpg"


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert user_path("~/a.pt") == user_path(Path("~/a.pt")) == Path("/home/me/a.pt")
    assert user_path("a~/b") == Path("a~/b") and user_path("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")
