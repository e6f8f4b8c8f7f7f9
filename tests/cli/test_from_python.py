"""docs/python.md: its code, word for word, without a command line and without Hydra around it."""

import json
import re
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from tests.cli.commands import DATA, ROOT, SEARCH

SMALLER = {'"data=synthetic", "data.synthetic.size=tiny", "data.image_size=[64,32]"': ", ".join(map(repr, DATA)),
           '"space.channels=8", "epochs=3"': ", ".join(map(repr, SEARCH[len(DATA):])),
           '"epochs=3"': '"epochs=2", "batch.size=8", "optimizer.warmup_epochs=0", "threads=1", '
                         '"targets={mine: {image_size: [32, 16]}}"'}


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
                       caplog: pytest.LogCaptureFixture, no_pictures: None) -> None:
    monkeypatch.setattr("nas_reid.evaluate.draw_retrieval", lambda *_, **__: [])
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 20
    for given, smaller in SMALLER.items():
        assert given in code
        code = code.replace(given, smaller)
    monkeypatch.chdir(tmp_path)
    assert not GlobalHydra.instance().is_initialized() and not HydraConfig.initialized()
    page: dict[str, object] = {}
    with caplog.at_level("INFO", "nas_reid"):
        exec(code, page)
    assert re.fullmatch(r"rank-1 \d+\.\d%, mAP \d+\.\d%", capsys.readouterr().out.splitlines()[-1])
    results = {folder.parent.name: json.loads(folder.read_text()) for folder in tmp_path.glob("runs/*/result.json")}
    assert results["search"]["selection"]["mAP"] == page["validation_map"]
    assert results["retrain"]["metrics"] == results["evaluate"]["metrics"] == page["metrics"]
    assert results["retrain"]["targets"]["mine"] == results["retrain"]["metrics"]
    assert not [record for record in caplog.records if record.getMessage().startswith("next: ")]
    assert "called from Python" in (tmp_path / "runs" / "search" / "report.html").read_text()
