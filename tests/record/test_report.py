"""The report shows what the run's files say, in one file that loads nothing."""

import base64
import json
import re

import pytest
from PIL import Image

from nas_reid.errors import NasReidError
from nas_reid.record.headline import Headline, headline_of
from nas_reid.record.report import SYNTHETIC_NOTE, Running, write_report, write_running_report

RESULT = {
    "kind": "retrain", "seed": 3, "space": "auto_reid", "data": "market1501", "genotype": "runs/a/genotype.json",
    "selection": {"split": "validation", "mAP": 0.5}, "metrics": {"mAP": 0.4321, "rank1": 0.75, "num_skipped": 2},
    "notes": ["2 queries <skipped>"], "config": {"seed": 3, "data": {"name": "market1501", "synthetic": None}},
}


def run(folder, **changes):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("- seed=3\n- genotype=runs/a/genotype.json\n")
    records = [{"epoch": epoch, "loss": 1 / 3, "time/epoch_s": 30.0, "run/val_mAP": None if epoch % 2 else 0.25}
               for epoch in range(1, 15)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "result.json").write_text(json.dumps({**RESULT, **changes}))
    return folder


def test_everything_a_reader_asks_for(tmp_path):
    page = write_report(run(tmp_path / "run")).read_text()
    for text in ("retrain · auto_reid · market1501", "python -m nas_reid.retrain seed=3 genotype=runs/a/genotype.json",
                 "<td>test mAP</td><td>43.21%</td>", "<td>test rank1</td><td>75.00%</td>",
                 "<td>validation mAP</td><td>50.00%</td>", "<td>test num_skipped</td><td>2</td>",
                 "2 queries &lt;skipped&gt;", "<b>7.0</b>minutes of training",
                 '<meta name="viewport" content="width=device-width, initial-scale=1">'):
        assert text in page, text
    (epochs,) = re.findall("<tr><th>epoch</th>(.*?)</tr>", page)
    assert re.findall(r"<th.*?>(\d+)</th>", epochs) == [str(epoch) for epoch in range(5, 15)]
    assert re.findall(r'<th class="early">(\d+)</th>', epochs)[-1] == "12", "a narrow screen shows the last two"
    assert "<td>0.3333</td></tr>" in page and "<td>–</td><td>25.00%</td></tr>" in page
    assert SYNTHETIC_NOTE not in page


def test_pictures_are_inside_and_nothing_is_loaded(tmp_path):
    folder = run(tmp_path / "run")
    (folder / "pictures").mkdir()
    Image.new("RGB", (7, 5), "red").save(folder / "pictures" / "ranked_lists.png")
    page = write_report(folder).read_text()
    (content,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert base64.b64decode(content) == (folder / "pictures" / "ranked_lists.png").read_bytes()
    assert "Look at the wrong ones" in page
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


def test_the_headline_comes_first_with_interval_and_cost(tmp_path):
    confidence = {"mAP": [0.381, 0.4876], "level": 0.95}
    page = write_report(run(tmp_path / "run", further={"market1501": {"confidence": confidence}}, params=1_234_567,
                            macs=12_345_678, next="python -m nas_reid.evaluate checkpoint=a")).read_text()
    order = ["mAP <b>43.2 %</b> <small>[38.1, 48.8]</small>", "rank-1 75.0 %", "with 95% interval over the people",
             "<b>1,234,567</b>parameters", "<b>12.3 M</b>MACs", "Made by", "python -m nas_reid.retrain", "Next",
             "python -m nas_reid.evaluate checkpoint=a", "How it learnt", "All numbers", "Configuration"]
    places = [page.index(text) for text in order]
    assert places == sorted(places)


@pytest.mark.parametrize(("result", "expected"), [
    ({"kind": "search", "selection": {"mAP": 0.5, "rank1": 0.6}}, ("validation mAP", 0.5, None, {"rank-1": 0.6})),
    ({"kind": "pretrain", "selection": {"top1_accuracy": 0.7}}, ("top-1 accuracy", 0.7, None, {})),
    ({"kind": "retrain", "data": "a", "metrics": {}, "targets": {"b": {"mAP": 0.2}},
      "further": {"b": {"confidence": {"mAP": [0.1, 0.3], "level": 0.9}}}}, ("mAP", 0.2, [0.1, 0.3], {})),
    ({"kind": "evaluate", "data": "a", "metrics": {"mAP": 0.2, "mINP": 0.1},
      "confidence": {"mAP": [0.1, 0.3], "level": 0.9}}, ("mAP", 0.2, [0.1, 0.3], {"mINP": 0.1})),
    ({"kind": "search"}, ("validation mAP", None, None, {})),
])
def test_headlines(result, expected):
    assert headline_of(result) == Headline(*expected, headline_of(result).says)


def test_pictures_stand_in_the_order_in_which_people_ask(tmp_path):
    folder = run(tmp_path / "run")
    (folder / "pictures").mkdir()
    for name in ("zebra", "alphas", "cmc", "cmc_b", "cells", "ranked_lists", "training"):
        Image.new("RGB", (7, 5), "red").save(folder / "pictures" / f"{name}.png")
    page = write_report(folder).read_text()
    order = ["What was found", "The architecture.", "Does it work", "Ranked lists.", "CMC.", "CMC, b.", "Why",
             "Alphas.", "More", "zebra"]
    places = [page.index(f"{text}<") for text in order]
    assert places == sorted(places) and page.count("<img") == 6


def test_a_running_job_shows_where_it_stands(tmp_path):
    folder = run(tmp_path / "run")
    (folder / "result.json").unlink()
    config = {"epochs": 20, "seed": 3, "space": {"name": "auto_reid"}, "data": {"name": "market1501"}}
    page = write_running_report(folder, Running("search", config)).read_text()
    for text in ('http-equiv="refresh"', "search · auto_reid · market1501", "epoch 14 of 20 is done",
                 "about 3.0 minutes of training left", "validation mAP <b>25.0 %</b>", "validation: retrieval"):
        assert text in page, text
    page = write_running_report(folder, Running("search", config, "NonFiniteError: <nan>")).read_text()
    assert "Stopped after epoch 14 of 20: NonFiniteError: &lt;nan&gt;" in page and "refresh" not in page


def test_the_command_is_quoted_for_a_shell(tmp_path):
    folder = run(tmp_path / "run")
    (folder / ".hydra" / "overrides.yaml").write_text("- data.image_size=[64,32]\n- 'data.root=it''s: here'\n")
    page = write_report(folder).read_text()
    assert "&#x27;data.image_size=[64,32]&#x27; &#x27;data.root=it&#x27;" in page
