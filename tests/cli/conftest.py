"""One search and one retraining that many tests look at, and a cache that all tests share."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nas_reid.retrain
import nas_reid.run.job
import nas_reid.search
from tests.cli.commands import RETRAIN, SEARCH, Outcome, invoke


@pytest.fixture(scope="session", autouse=True)
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of every test here: images are drawn once, whichever worker is first."""
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "nas_reid_cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_REID_CACHE", str(cache))
        patch.setenv("WANDB_MODE", "disabled")
        patch.delenv("NAS_REID_DATA", raising=False)
        yield cache


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """Folder and outcome of a whole search."""
    folder = tmp_path_factory.mktemp("search") / "run"
    return folder, invoke("search", *SEARCH, f"hydra.run.dir={folder}")


@pytest.fixture(scope="session")
def retrained(tmp_path_factory: pytest.TempPathFactory, searched: tuple[Path, Outcome]) -> tuple[Path, Outcome]:
    """Folder and outcome of a whole retraining of what was searched."""
    folder = tmp_path_factory.mktemp("retrain") / "run"
    return folder, invoke("retrain", *RETRAIN, f"genotype={searched[0] / 'genotype.json'}", f"hydra.run.dir={folder}")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """Folder and outcome of a short training that holds people enough out for a threshold."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nas_reid.retrain, "draw_retrieval", lambda *_, **__: [])
        patch.setattr(nas_reid.retrain, "draw_trunk", lambda *_, **__: [])
        return folder, invoke("retrain", *RETRAIN, "genotype=resnet/resnet18", "network.channels=2",
                              "network.stem_channels=2", "epochs=1", "optimizer.warmup_epochs=0",
                              "validation_fraction=0.5", "false_positive_rate=0.1",
                              "evaluation.bootstrap={samples: 100}", f"hydra.run.dir={folder}")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: pictures take most of the time of a small run."""
    for module, name in ((nas_reid.search, "draw_search"), (nas_reid.retrain, "draw_retrieval"),
                         (nas_reid.retrain, "draw_trunk"), (nas_reid.retrain, "draw_genotype"),
                         (nas_reid.run.job, "draw_training")):
        monkeypatch.setattr(module, name, lambda *_, **__: [])


@pytest.fixture(scope="session")
def drawn(searched: tuple[Path, Outcome]) -> Path:
    """Where the drawn images are, in Market-1501's layout."""
    return Path(re.search(r"gallery images in (\S+)", searched[1].out)[1])


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that must stay empty: the mistake has to show before anything is drawn or decoded."""
    cache = tmp_path / "empty_cache"
    monkeypatch.setenv("NAS_REID_CACHE", str(cache))
    return cache
