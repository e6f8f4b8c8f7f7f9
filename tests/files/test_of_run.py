"""The folder of a run stands for the file in it that is meant."""

from pathlib import Path

import pytest

from nas_reid.files.of_run import CHECKPOINTS, file_of_run


@pytest.mark.parametrize(("there", "names", "expected"), [
    (["checkpoints/best.pt", "checkpoints/last.pt"], CHECKPOINTS, "checkpoints/best.pt"),
    (["checkpoints/last.pt", "genotype.json"], CHECKPOINTS, "checkpoints/last.pt"),
    (["last.pt", "best.pt"], CHECKPOINTS, "best.pt"),
    (["genotype.json", "checkpoints/last.pt"], ("genotype.json",), "genotype.json"),
    (["model.onnx"], (*CHECKPOINTS, "model.onnx"), "model.onnx"),
    (["other"], CHECKPOINTS, "")])
def test_the_likeliest_file_of_a_folder_is_taken(there: list[str], names: tuple[str, ...], expected: str,
                                                 tmp_path: Path) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert file_of_run(str(tmp_path), names) == tmp_path / expected


def test_a_file_is_itself_and_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.pt").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert file_of_run("~/mine.pt") == tmp_path / "mine.pt"
    assert file_of_run("~/nothing.pt") == tmp_path / "nothing.pt"
