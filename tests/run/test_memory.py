"""Commands keep the memory that they free, unless the environment says otherwise."""

import ctypes
from types import SimpleNamespace

import pytest

from nas_reid.run import memory

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


@pytest.fixture
def calls(monkeypatch):
    """What glibc is told."""
    told = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=lambda *call: told.append(call)))
    for variable in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_"):
        monkeypatch.delenv(variable, raising=False)
    return told


def test_nothing_is_returned_to_the_system(calls):
    memory.keep_freed_memory()
    assert calls == [(_TRIM_THRESHOLD, -1), (_MMAP_MAX, 0)]


def test_what_the_environment_sets_stays(calls, monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    memory.keep_freed_memory()
    assert calls == [(_TRIM_THRESHOLD, -1)]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    memory.keep_freed_memory()
