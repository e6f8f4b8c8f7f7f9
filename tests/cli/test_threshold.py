"""A threshold for a false-positive rate: kept by retrain, tried on the test people by evaluate."""

import json
from pathlib import Path

import pytest
from PIL import Image

from nas_reid.evaluation.threshold import read_thresholds
from nas_reid.network.checkpoint import load_checkpoint
from tests.cli.commands import EVALUATE, RETRAIN, Outcome, invoke
from tests.cli.refusals import assert_nothing_half_written, assert_refused

GENOTYPE = ("genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]")
Ran = tuple[Path, Outcome]


def test_the_best_checkpoint_keeps_thresholds_for_every_use(trained: Ran) -> None:
    folder, outcome = trained
    assert outcome.code == 0, outcome.err
    thresholds = read_thresholds(folder / "checkpoints" / "best.pt")
    assert [(each.distance, each.flip) for each in thresholds] == [
        ("euclidean", False), ("cosine", False), ("euclidean", True), ("cosine", True)]
    for each in thresholds:
        assert each.people == 5 and each.rate == 0.1 and 0.05 < each.expected <= 0.1 and not each.across
        assert each.interval[0] <= each.value <= each.interval[1]
    assert thresholds[2].line() in outcome.out
    result = json.loads((folder / "result.json").read_text())
    assert result["thresholds"] == [each.to_plain() for each in thresholds]
    state = load_checkpoint(folder / "checkpoints" / "best.pt")
    assert state["validation"]["by"] == "identity" and state["config"]["false_positive_rate"] == 0.1


def test_evaluate_says_and_draws_how_it_holds(trained: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = invoke("evaluate", *EVALUATE, f"checkpoint={trained[0]}", f"hydra.run.dir={tmp_path}",
                     "evaluation.bootstrap={samples: 100}", "evaluation.camera_pairs=false")
    assert outcome.code == 0, outcome.err
    found = json.loads((tmp_path / "result.json").read_text())["threshold"]
    kept = read_thresholds(trained[0] / "checkpoints" / "best.pt")[2]
    assert found["value"] == kept.value and found["expected"] == kept.expected
    # 4 people x 4 cameras search the others' images; genuine pairs are of other cameras.
    assert found["observed"]["genuine_pairs"] == 16 * 3 and 0 <= found["observed"]["false_positive_rate"] <= 1
    assert f"threshold {kept.value:.4g}: accepts {found['observed']['false_positive_rate']:.2%} of" in outcome.out
    with Image.open(tmp_path / "pictures" / "distances.png") as picture:
        assert picture.width > 400
    monkeypatch.setattr("nas_reid.evaluate.draw_retrieval", lambda *_, **__: [])
    outcome = invoke("evaluate", *EVALUATE, f"checkpoint={trained[0]}", f"hydra.run.dir={tmp_path / 'squared'}",
                     "evaluation.bootstrap=null", "evaluation.camera_pairs=false",
                     "evaluation.distance=squared_euclidean")
    assert outcome.code == 0 and ", threshold " not in outcome.out
    assert "threshold" not in json.loads((tmp_path / "squared" / "result.json").read_text())


def test_a_rate_that_the_pairs_cannot_show_is_refused_before_the_training(no_pictures: None, tmp_path: Path) -> None:
    few = invoke("retrain", *RETRAIN, *GENOTYPE, "false_positive_rate=0.01", f"hydra.run.dir={tmp_path / 'few'}")
    assert_refused(few, r"DataError: false_positive_rate=0\.01 needs at least 5 held-out people, and there are 2: hold "
                        r"out more \(validation_fraction=")
    pairs = invoke("retrain", *RETRAIN, *GENOTYPE, "validation_fraction=0.5", "false_positive_rate=0.001",
                   f"hydra.run.dir={tmp_path / 'pairs'}")
    assert_refused(pairs, r"false_positive_rate=0\.001 needs at least 3 / 0\.001 = 3,000 pairs of different held-out")
    assert_nothing_half_written(tmp_path)
    auto = invoke("retrain", *RETRAIN, *GENOTYPE, "epochs=1", "optimizer.warmup_epochs=0",
                  f"hydra.run.dir={tmp_path / 'auto'}")
    assert auto.code == 0 and "no threshold will be fitted: false_positive_rate=0.01 needs at least 5" in auto.out
    assert read_thresholds(tmp_path / "auto" / "checkpoints" / "best.pt") == []


@pytest.mark.parametrize(("word", "message"), [
    ("false_positive_rate=1.5", r"false_positive_rate=1\.5 must lie strictly between 0 and 1, or be auto"),
    ("full_training_set=true", "does not go with full_training_set=true, which holds nobody out"),
    ("validation_by=camera", "does not go with validation_by=camera, whose people are trained on too")])
def test_a_rate_without_held_out_people_is_refused(word: str, message: str, no_data: Path, tmp_path: Path) -> None:
    outcome = invoke("retrain", *RETRAIN, *GENOTYPE, "false_positive_rate=0.1", word, f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, message)
    assert not no_data.exists()
