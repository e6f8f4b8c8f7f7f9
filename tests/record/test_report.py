"""The report shows what the run's files say, in one file that loads nothing."""

import base64
import json
import re

import pytest
from PIL import Image

from nas_reid.errors import NasReidError
from nas_reid.record.report import SYNTHETIC_NOTE, write_report

RESULT = {
    "kind": "retrain", "seed": 3, "space": "auto_reid", "data": "market1501", "genotype": "runs/a/genotype.json",
    "selection": {"split": "validation", "mAP": 0.5}, "metrics": {"mAP": 0.4321, "rank1": 0.75, "num_skipped": 2},
    "notes": ["2 queries <skipped>"], "config": {"seed": 3, "data": {"name": "market1501", "synthetic": None}},
}


def run(folder, **changes):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("- seed=3\n- genotype=runs/a/genotype.json\n")
    records = [{"epoch": epoch, "loss": 1 / 3, "val_mAP": None if epoch % 2 else 0.25} for epoch in range(1, 15)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "result.json").write_text(json.dumps({**RESULT, **changes}))
    return folder


def test_everything_a_reader_asks_for(tmp_path):
    page = write_report(run(tmp_path / "run")).read_text()
    for text in ("retrain · auto_reid · market1501", "python -m nas_reid.retrain seed=3 genotype=runs/a/genotype.json",
                 "<td>test mAP</td><td>43.21%</td>", "<td>test rank1</td><td>75.00%</td>",
                 "<td>validation mAP</td><td>50.00%</td>", "<td>test num_skipped</td><td>2</td>",
                 "2 queries &lt;skipped&gt;", "<td>14</td><td>0.3333</td><td>25.00%</td>",
                 "<td>13</td><td>0.3333</td><td>–</td>"):
        assert text in page, text
    assert "<td>4</td><td>0.3333</td>" not in page  # the last ten epochs only
    assert SYNTHETIC_NOTE not in page


def test_pictures_are_inside_and_nothing_is_loaded(tmp_path):
    folder = run(tmp_path / "run")
    (folder / "pictures").mkdir()
    Image.new("RGB", (7, 5), "red").save(folder / "pictures" / "ranked_lists.png")
    page = write_report(folder).read_text()
    (content,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert base64.b64decode(content) == (folder / "pictures" / "ranked_lists.png").read_bytes()
    assert "ranked lists" in page
    assert not re.search(r'(src|href)="(?!data:)|<script|@import|url\(', page)


def test_synthetic_data_are_named_as_such(tmp_path):
    page = write_report(run(tmp_path / "run", config={"data": {"synthetic": {"identities": 8}}})).read_text()
    assert SYNTHETIC_NOTE in page


def test_no_result(tmp_path):
    with pytest.raises(NasReidError, match=r"result.json.*finished run"):
        write_report(tmp_path)
    (tmp_path / "result.json").write_text("[]")
    with pytest.raises(NasReidError, match="holds a list"):
        write_report(tmp_path)


def test_trials_have_lines_of_their_own(tmp_path):
    trials = {"all-search single-shot": {"num_trials": 10, "mAP": 0.25, "mAP_std": 0.015}}
    page = write_report(run(tmp_path / "run", trials=trials, further={"regdb": {"trials": {"there": {"mAP": 0.5}}}}))
    for text in ("<td>all-search single-shot: mAP</td><td>25.00%</td>", "single-shot: mAP_std</td><td>1.50%</td>",
                 "<td>regdb: there mAP</td><td>50.00%</td>"):
        assert text in page.read_text(), text
