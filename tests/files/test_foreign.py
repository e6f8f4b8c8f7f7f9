"""Text and paths of other systems are understood."""

import os
import re
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


def test_one_place_expands_the_paths_of_users() -> None:
    """No other file knows of ``~``, and no command makes a path of a setting by itself."""
    engine = Path(__file__).resolve().parents[2] / "nas_reid"
    files = sorted(engine.rglob("*.py"))
    assert len(files) > 60
    assert [path.name for path in files if ".expanduser(" in path.read_text(encoding="utf-8")] == ["foreign.py"]
    assert not [path.name for path in files if re.search(r"\bPath\((settings|cfg)\.", path.read_text(encoding="utf-8"))]
