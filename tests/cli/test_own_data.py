"""Own images from a table: inspected, trained on, and refused before anything is decoded."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from nas_reid.data.readers import read_dataset
from nas_reid.record.runs import read_runs
from tests.cli.commands import RETRAIN, invoke
from tests.cli.refusals import assert_nothing_half_written, assert_refused

pytestmark = pytest.mark.usefixtures("no_pictures")
GENOTYPE = ("genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]")


@pytest.fixture
def people(drawn: Path, tmp_path: Path) -> Path:
    """Drawn people in nested folders with a table that names neither cameras nor a split."""
    dataset, rows = read_dataset("market1501", drawn), [("file", "identity", "weather")]
    for sample in (*dataset.train, *dataset.query, *dataset.gallery):
        place = tmp_path / "my people" / f"day {sample.camid}"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn / sample.path, place)
        rows.append((f"{place.name}/{Path(sample.path).name}", f"p{sample.pid}" if sample.pid else "unknown", "fine"))
    with open(tmp_path / "my people" / "people.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path / "my people" / "people.csv"


def own(people: Path, *more: str) -> list[str]:
    kept = [override for override in RETRAIN if not override.startswith("data.synthetic")]
    return [*kept, "data=table", f"data.table={people}", "data.options.ignore=[weather]", *more]


def test_inspected_and_trained_on(people: Path, tmp_path: Path) -> None:
    shutil.copy(next(people.parent.glob("day 0/*.jpg")), people.parent / "day 0" / "again.jpg")
    with open(people, "a") as file:
        file.write("day 0/again.jpg,p1,fine\n")
    data = [word for word in own(people) if word.startswith("data")]
    outcome = invoke("inspect", *data, f"hydra.run.dir={tmp_path / 'look'}")
    assert outcome.code == 0, outcome.err
    summary = json.loads(outcome.out.splitlines()[-1])
    assert summary["unreadable"] == 0 and summary["duplicates"] == 1
    assert re.search(r"training +\d+ +7 +\d+ to \d+   unknown", outcome.out)
    assert "sizes: all 24 x 48 pixels" in outcome.out
    same = re.search(r"others use the same with (.*)", outcome.out)
    assert same, outcome.out
    assert "the same file under several names: 1 group, such as day 0/" in outcome.out
    assert re.search(rf"next: python -m nas_reid\.retrain genotype=\S+ network\.channels=16 data=table .*{people}",
                     outcome.out)
    found = json.loads((tmp_path / "look" / "inspection.json").read_text())
    assert found["identities"]["1"] == "p1" and "test_fraction 0.5" in found["split"] and found["refused"] is None
    assert (tmp_path / "look" / "contact_sheet.png").stat().st_size > 1000
    assert read_runs([tmp_path / "look"]).unfinished == []  # an inspection is no run that ``compare`` waits for

    split = tmp_path / "look" / "split_table.csv"
    results = []
    for name, table in (("made", data), ("given", shlex.split(same[1]))):
        outcome = invoke("retrain", *own(people), *table, *(["data.options.ignore=[]"] if name == "given" else []),
                         *GENOTYPE, "batch.size=4", "batch.instances=2", f"hydra.run.dir={tmp_path / name}")
        assert outcome.code == 0, outcome.err
        results.append(json.loads((tmp_path / name / "result.json").read_text()))
    assert results[0]["metrics"] == results[1]["metrics"]
    rule = results[0]["protocol"]["trials"]["table"]["same camera allowed"]
    assert rule["junk"] == "same_camera_allowed" and rule["queries"] == rule["gallery"]
    assert (tmp_path / "made" / "split_table.csv").read_text() == split.read_text()
    outcome = invoke("evaluate", f"checkpoint={tmp_path / 'made' / 'checkpoints' / 'best.pt'}", "threads=1",
                     f"hydra.run.dir={tmp_path / 'evaluated'}")
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "evaluated" / "result.json").read_text())["metrics"] == results[0]["metrics"]
    with open(tmp_path / "evaluated" / "queries.csv") as file:
        assert {row["camera"] for row in csv.DictReader(file)} == {""}


def test_what_is_wrong_is_said_before_anything_is_decoded(people: Path, tmp_path: Path, no_data: Path) -> None:
    run = f"hydra.run.dir={tmp_path / 'run'}"
    assert_refused(invoke("retrain", *own(people, "data.options.ignore=[]"), *GENOTYPE, run),
                   "unknown columns 'weather'")
    assert_refused(invoke("retrain", *own(people, "evaluation.protocol=same_camera_removed"), *GENOTYPE, run),
                   "names no cameras; leave it null")
    assert_refused(invoke("retrain", *RETRAIN, *GENOTYPE, "data.table=x.csv", run),
                   r"data\.table=x\.csv goes with data=table")
    assert_nothing_half_written(tmp_path / "run")
    assert not no_data.exists()
