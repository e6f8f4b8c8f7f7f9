"""Training and evaluation across visible and infrared light, on drawn data in the layouts of SYSU-MM01 and RegDB."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.commands import RETRAIN, SEARCH, invoke
from tests.cli.refusals import assert_nothing_half_written, assert_refused

pytestmark = pytest.mark.usefixtures("no_pictures")

GENOTYPE = ("genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]")
LAYOUT = ("data=synthetic_ir", "data.synthetic.size=tiny", "data.synthetic.train_ids=8", "data.synthetic.test_ids=4",
          "data.synthetic.image_size=[48,24]", "data.image_size=[32,16]", "data.workers=1",
          "data.synthetic.images_per_camera=2")
SYSU = (*LAYOUT, "data.synthetic.val_ids=2")
REGDB = (*LAYOUT, "data.synthetic.layout=regdb", "data.options.split=3")
PAIRS = ("batch.sampler=modality_pairs", "augment=cross_modal", "epochs=1", "optimizer.warmup_epochs=0")


def without_data(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(argument for argument in arguments if not argument.startswith(("data", "epochs", "optimizer")))


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_sysu_layout_reports_every_setting_of_the_protocol(tmp_path: Path) -> None:
    outcome = invoke("retrain", *without_data(RETRAIN), *SYSU, *PAIRS, *GENOTYPE, "validation_by=official",
                     f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert "training data: 68 images of 6 identities; validation: 8 query, 12 gallery images" in outcome.out
    result = result_of(tmp_path)
    assert result["selection"]["by"] == "official" and result["selection"]["num_queries"] == 8
    names = [f"{search} {shot}" for search in ("all-search", "indoor-search") for shot in ("single-shot", "multi-shot")]
    assert list(result["trials"]) == names
    assert all(values["num_trials"] == 10 and "mAP_std" in values for values in result["trials"].values())
    headline = result["trials"]["all-search single-shot"]
    assert all(headline[key] == value for key, value in result["metrics"].items())
    described = result["protocol"]["trials"]["synthetic_ir"]["indoor-search multi-shot"]
    assert described["trials"] == 10 and described["junk"] == "same_room" and described["cmc"] == "identities"
    assert all(re.search(rf"synthetic_ir {name}: num_trials 10  rank1 \S+ ± ", outcome.out) for name in names)
    assert "indoor-search multi-shot: mAP_std" in (tmp_path / "report.html").read_text()


def test_regdb_layout_is_evaluated_in_both_directions(tmp_path: Path) -> None:
    outcome = invoke("retrain", *without_data(RETRAIN), *REGDB, *PAIRS, *GENOTYPE, f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    trained = result_of(tmp_path / "run")
    assert list(trained["trials"]) == ["visible to thermal", "thermal to visible"]
    assert trained["metrics"]["mAP"] == trained["trials"]["visible to thermal"]["mAP"]
    assert trained["metrics"]["num_queries"] == 4 * 2 and trained["metrics"]["num_skipped"] == 0
    outcome = invoke("evaluate", *REGDB, "threads=1", f"checkpoint={tmp_path / 'run/checkpoints/best.pt'}",
                     f"hydra.run.dir={tmp_path / 'again'}")
    assert outcome.code == 0, outcome.err
    again = result_of(tmp_path / "again")
    assert again["trials"] == trained["trials"] and again["metrics"] == json.loads(outcome.out.splitlines()[-1])
    assert (tmp_path / "again/pictures/ranked_lists.png").exists()


def test_a_search_on_the_official_parts(tmp_path: Path) -> None:
    outcome = invoke("search", *without_data(SEARCH), *SYSU, "epochs=1", "batch.sampler=modality_pairs", "batch.size=8",
                     "split.by=official", "validation_by=official", "objective.alphas.cross_entropy=null",
                     f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert ("search data: 8 identities, 68 images for weights, 20 images for alphas; validation: 8 queries, 12 gallery"
            in outcome.out)


def test_pairs_need_both_modalities(tmp_path: Path) -> None:
    outcome = invoke("retrain", *RETRAIN, *GENOTYPE, "batch.sampler=modality_pairs", f"hydra.run.dir={tmp_path / 'a'}")
    assert_refused(outcome, "modality_pairs needs visible and infrared images, and all .* are visible",
                   "batch.sampler=identity")
    assert_nothing_half_written(tmp_path / "a")
    outcome = invoke("retrain", *RETRAIN, *GENOTYPE, "validation_by=official", f"hydra.run.dir={tmp_path / 'b'}")
    assert_refused(outcome, "validation_by=official: the data set names no identities for validation")


def test_a_list_that_names_people_who_are_not_there(tmp_path: Path, no_data: Path) -> None:
    for camera in range(1, 7):
        (tmp_path / f"sysu/cam{camera}/0001").mkdir(parents=True)
        (tmp_path / f"sysu/cam{camera}/0001/0001.jpg").touch()
    (tmp_path / "sysu/exp").mkdir()
    for name, text in (("train", "1,2"), ("val", "3"), ("test", "4")):
        (tmp_path / f"sysu/exp/{name}_id.txt").write_text(text)
    outcome = invoke("retrain", *without_data(RETRAIN), *GENOTYPE, "data=sysu_mm01", f"data.root={tmp_path / 'sysu'}",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, "train_id.txt names 2 identities, of which 1 have no image in cam1 to cam6: 2")
    assert_nothing_half_written(tmp_path / "run")
    assert not no_data.exists()
