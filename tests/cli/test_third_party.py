"""A space of somebody else's: the one of docs/your_own_space.md, word for word, in a package beside nas_reid."""

import json
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import DATA, RETRAIN, ROOT, SEARCH, SPACE, invoke, run

PAGE = ROOT / "docs" / "your_own_space.md"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, and what ``pip install`` would add to make them a distribution."""
    root = tmp_path_factory.mktemp("third_party")
    files = dict(re.findall(r"\*\*`(.+?)`\*\*\n\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL))
    assert list(files) == ["zigzag_space/__init__.py", "zigzag_space/conf/space/zigzag.yaml", "pyproject.toml",
                           "test_zigzag.py"]
    project = tomllib.loads(files["pyproject.toml"])["project"]
    files["zigzag_space-1.0.dist-info/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    files["zigzag_space-1.0.dist-info/entry_points.txt"] = "\n".join(
        line for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {module}" for name, module in entries.items())))
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture
def environment(package: Path) -> Mapping[str, str]:
    return {"PYTHONPATH": f"{package}:{ROOT}"}


def test_it_is_searched_and_retrained_by_name(package: Path, environment: Mapping[str, str], tmp_path: Path) -> None:
    settings = [override for override in SEARCH if override not in SPACE]
    found = run("search", "space=zigzag", *settings, "space.channels=4", "space.length=2", environment=environment,
                cwd=tmp_path)
    assert found.code == 0, found.err
    [genotype] = tmp_path.glob("outputs/search/zigzag/*/genotype.json")
    content = json.loads(genotype.read_text())
    assert content["space"] == "zigzag" and content["arguments"] == {"channels": 4, "length": 2}
    assert len(content["body"]["links"]) == 2 and set(content["body"]["links"]) <= {"tall", "wide", "square"}
    assert (genotype.parent / "pictures" / "alphas.png").stat().st_size

    [command] = re.findall(r"next: python -m nas_reid\.(retrain) (genotype=\S+)", found.out)
    trained = run(*command, *RETRAIN, environment=environment, cwd=tmp_path)
    assert trained.code == 0, trained.err
    [result] = tmp_path.glob("outputs/retrain/*/result.json")
    assert json.loads(result.read_text())["space"] == "zigzag"


def test_it_is_drawn_by_lot_tabulated_and_selected_from(package: Path, monkeypatch: pytest.MonkeyPatch,
                                                        tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setattr("nas_reid.registry._spaces", {})  # this process forgets the space again
    monkeypatch.delitem(sys.modules, "zigzag_space", raising=False)
    space = ("space=zigzag", "space.channels=4", "space.length=2")
    settings, folder = [override for override in SEARCH if override not in SPACE], tmp_path / "search"

    def done(command: str, name: str, *arguments: object) -> Path:
        outcome = invoke(command, *arguments, f"hydra.run.dir={tmp_path / name}")
        assert outcome.code == 0, outcome.err
        return tmp_path / name

    by_lot = done("search", "by_lot", *space, *settings, "algorithm=random", "algorithm.bounds.params=[0,1e5]")
    assert json.loads((by_lot / "genotype.json").read_text())["provenance"]["kind"] == "random"
    folder = done("search", "search", *space, *settings, "algorithm=one_shot", "epochs=1")
    selected = done("select", "evolution", f"search={folder}", "method=evolution", "candidates=3", "population=2",
                    "tournament=2")
    assert len((selected / "candidates.jsonl").read_text().splitlines()) == 3
    recipe = ",".join(f'"{word}"' for word in (*RETRAIN, "epochs=1", "optimizer.warmup_epochs=0"))
    table = tmp_path / "table.jsonl"
    done("tabulate", "table", *space, f"recipe=[{recipe}]", f"table={table}", "count=3", "repeated=0")
    scored = done("select", "tau", f"search={folder}", "method=table", f"table={table}")
    result = json.loads((scored / "result.json").read_text())
    assert result["genotypes"] == 3 and -1 <= result["tau"] <= 1
    monkeypatch.delitem(sys.modules, "zigzag_space")


def test_it_conforms(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own test."""
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setattr("nas_reid.registry._spaces", {})
    page: dict[str, Any] = {}
    exec((package / "test_zigzag.py").read_text(), page)
    page["test_zigzag_is_a_search_space"]()
    del sys.modules["zigzag_space"]


def test_without_the_package_its_name_and_its_genotype_are_unknown(tmp_path: Path) -> None:
    genotype = {"format_version": 1, "space": "zigzag", "space_version": 1, "body": {"links": ["tall"]},
                "arguments": {"channels": 4, "length": 1}}
    (tmp_path / "genotype.json").write_text(json.dumps(genotype))
    outcome = invoke("retrain", *DATA, f"genotype={tmp_path / 'genotype.json'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 1 and "Traceback" not in outcome.err
    assert re.search(r"'zigzag'.* not installed.*auto_reid.*Install the package", outcome.err)
