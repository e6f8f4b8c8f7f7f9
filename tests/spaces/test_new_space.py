"""A space written by the command: it is listed, conforms, is searched, and its genotype is retrained."""

import importlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_reid import registry, retrain, search
from nas_reid.genotype import Genotype
from nas_reid.run import compose
from nas_reid.run.job import start_job
from nas_reid.spaces.__main__ import main
from tests.cli.commands import DATA, RETRAIN, SEARCH, SPACE


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Written, and installed as ``pip install`` would; this process forgets it again."""
    monkeypatch.setattr(registry, "_spaces", dict(registry._spaces))
    assert main(["new", "my_space", "--into", str(tmp_path)]) == 0
    folder = tmp_path / "my_space"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / "my_space_space-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    [(group, entries)] = project["entry-points"].items()
    (info / "entry_points.txt").write_text(
        f"[{group}]\n" + "".join(f"{name} = {module}\n" for name, module in entries.items()))
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("my_space_space", None)


def test_it_is_listed_and_its_own_test_passes(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    [line] = [line for line in lines if line.startswith("my_space ")]
    assert re.fullmatch(rf"my_space +my_space-space 0\.1\.0, {package}/my_space_space +0", line)
    assert any(re.match(r"auto_reid +\S.*search_spaces/auto_reid +3", line) for line in lines)
    scope: dict[str, object] = {}
    exec((package / "test_my_space.py").read_text(), scope)
    scope["test_my_space_is_a_search_space"]()


def test_it_is_searched_and_retrained(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_REID_CACHE", str(tmp_path / "cache"))
    for module, name in (("search", "draw_search"), ("retrain", "draw_retrieval"), ("retrain", "draw_trunk"),
                         ("run.job", "draw_training")):
        monkeypatch.setattr(importlib.import_module(f"nas_reid.{module}"), name, lambda *_, **__: [])
    overrides = [override for override in SEARCH if override not in SPACE and override != "epochs=2"]
    settings = compose.settings("search", ["space=my_space", "space.channels=4", "space.length=2", "epochs=1",
                                           "wandb.mode=disabled", *overrides])
    with start_job(settings, tmp_path / "search") as job:
        search.run(settings, job)
    genotype = Genotype.load(tmp_path / "search" / "genotype.json")
    assert genotype.space == "my_space" and len(genotype.body["operations"]) == 2
    settings = compose.settings("retrain", [f"genotype={tmp_path / 'search' / 'genotype.json'}", "wandb.mode=disabled",
                                            *(text for text in RETRAIN if text not in ("epochs=2", *DATA)), *DATA,
                                            "epochs=2", "evaluation.bootstrap=null"])
    with start_job(settings, tmp_path / "retrain") as job:
        retrain.run(settings, genotype, job)
    assert json.loads((tmp_path / "retrain" / "result.json").read_text())["space"] == "my_space"


@pytest.mark.parametrize(("name", "message"), [
    ("My-Space", "'My-Space' is illegal: use lower-case letters, digits and underscores"),
    ("auto_reid", "'auto_reid' is there already; known are: .*osnet_ain"), ("taken", "taken is there already; choose")])
def test_a_name_that_cannot_be_is_refused(name: str, message: str, tmp_path: Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").mkdir()
    assert main(["new", name, "--into", str(tmp_path)]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
