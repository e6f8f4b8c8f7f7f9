"""The import of CM-NAS's files, run as a person would."""

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nas_reid.genotype import Genotype

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "import_norm_sites.py"


@pytest.fixture
def main() -> Callable[[Sequence[str]], int]:
    return runpy.run_path(str(SCRIPT))["main"]


def test_a_file_of_cm_nas_becomes_a_genotype(main: Callable, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source, target = tmp_path / "genotype.txt", tmp_path / "genotype.json"
    source.write_text("0 0 0 " + "1 " * 50)
    assert main([str(source), str(target)]) == 0
    assert capsys.readouterr().out.endswith("3 sites are split\n")
    body = Genotype.load(target).body
    assert [site for site in body if body[site] == "split"] == ["bn1", "layer1.0.downsample.1", "layer1.0.bn1"]


@pytest.mark.parametrize(("name", "depth", "message"), [("genotype.txt", "18", "53 entries; expected 20 zeros"),
                                                        ("none.txt", "50", "cannot read")])
def test_other_files_are_refused(main: Callable, tmp_path: Path, capsys: pytest.CaptureFixture, name: str, depth: str,
                                 message: str) -> None:
    (tmp_path / "genotype.txt").write_text("1 " * 53)
    assert main([str(tmp_path / name), str(tmp_path / "out.json"), "--depth", depth]) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "out.json").exists()
