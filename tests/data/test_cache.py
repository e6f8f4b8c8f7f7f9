"""Where the cache is."""

from pathlib import Path

from nas_reid.data.cache import cache_root


def test_environment_variable_decides(monkeypatch):
    monkeypatch.setenv("NAS_REID_CACHE", "~/elsewhere")
    assert cache_root() == Path.home() / "elsewhere"
    for unset in (lambda: monkeypatch.setenv("NAS_REID_CACHE", ""), lambda: monkeypatch.delenv("NAS_REID_CACHE")):
        unset()
        assert cache_root() == Path.home() / ".cache" / "nas_reid"
