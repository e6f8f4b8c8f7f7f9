"""What is removed of what killed processes left, and what never is."""

import os
import time
from pathlib import Path

import pytest

from nas_reid.files import lock, unfinished
from nas_reid.files.leftovers import lock_of, remove_unfinished, sweep
from nas_reid.files.lock import holding


def leave(folder: Path, *names: str, age_s: float = 0.0) -> list[Path]:
    """Unfinished files, and an unfinished folder with a file for names that end with a slash."""
    paths = []
    for name in names:
        path = unfinished(folder / name)
        if name.endswith("/"):
            (path / "below").mkdir(parents=True)
            (path / "below" / "file").touch()
        else:
            path.touch()
        for entry in (path, *path.rglob("*")):
            os.utime(entry, (0, time.time() - age_s))
        paths.append(path)
    return paths


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_nobody_makes_is_removed_and_what_somebody_makes_stays(tmp_path: Path) -> None:
    dead = leave(tmp_path, "a.images", "drawn/")
    living, = leave(tmp_path, "b.images")
    lock_of(tmp_path / "c.images").touch()  # its process was killed before it began
    others = {"a.images", ".hidden", ".a.images.0123", "0123456789abcdef0123456789abcdef"}
    for name in others:
        (tmp_path / name).touch()
    with holding(lock_of(tmp_path / "b.images")):
        sweep(tmp_path)
        assert not any(path.exists() for path in dead)
        assert names(tmp_path) == {*others, living.name, ".b.images.lock"}
    sweep(tmp_path)
    assert names(tmp_path) == others


def test_a_linked_folder_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "cache").mkdir()
    unfinished(tmp_path / "cache" / "a").symlink_to(tmp_path / "kept")
    sweep(tmp_path / "cache")
    assert names(tmp_path / "cache") == set() and (tmp_path / "kept" / "file").exists()


def test_without_locks_only_what_has_not_changed_for_an_hour_is_removed(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    fresh = leave(tmp_path, "a.images", "drawn/")
    old = leave(tmp_path, "a.images", "drawn/", age_s=7200)
    (fresh[1] / "below" / "file").touch()
    os.utime(fresh[1], (0, time.time() - 7200))
    sweep(tmp_path)
    assert all(path.exists() for path in fresh) and not any(path.exists() for path in old)


def test_the_holder_of_a_folder_removes_by_name_or_all(tmp_path: Path) -> None:
    leave(tmp_path, "a", "a", "b")
    remove_unfinished(tmp_path, "a")
    assert [name[:3] for name in names(tmp_path)] == [".b."]
    remove_unfinished(tmp_path)
    assert names(tmp_path) == set()


def test_a_folder_that_is_not_there_stays_away(tmp_path: Path) -> None:
    sweep(tmp_path / "absent")
    remove_unfinished(tmp_path / "absent")
    assert names(tmp_path) == set()
