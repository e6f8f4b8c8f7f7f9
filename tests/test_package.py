"""What the package says of itself: its version in one place, its types, and that importing it costs nothing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nas_reid

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_stands_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", nas_reid.__version__)
    assert PROJECT["project"]["dynamic"] == ["version"] and "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "nas_reid/__init__.py"


def test_records_and_citations_name_this_version() -> None:
    from nas_reid.record.provenance import versions

    assert versions()["nas_reid"] == nas_reid.__version__
    assert f"version: {nas_reid.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {nas_reid.__version__} " in (ROOT / "CHANGELOG.md").read_text()


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, nas_reid; print(*[name for name in sys.modules if name.startswith(('nas_reid', 'torch'))])"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["nas_reid"]


def test_checkers_of_other_people_may_use_the_types() -> None:
    for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert (ROOT / package / "py.typed").is_file()


def test_the_workflow_runs_the_oldest_and_the_newest_versions_allowed() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    bounds = next(each for each in PROJECT["project"]["dependencies"] if each.startswith("torch"))
    lowest, beyond = re.fullmatch(r"torch>=2\.(\d+),<2\.(\d+)", bounds).groups()
    assert f'torch: ["torch==2.{lowest}.*", "torch==2.{int(beyond) - 1}.*"]' in workflow
    assert f'python: ["{PROJECT["project"]["requires-python"].removeprefix(">=")}"' in workflow
