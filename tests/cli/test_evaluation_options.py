"""What evaluate and retrain report beside the plain metrics, with real files; and what a mistake in it gets."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

import nas_reid.evaluate
from tests.cli.commands import EVALUATE, RETRAIN, Outcome, invoke
from tests.cli.refusals import assert_nothing_half_written, assert_refused

Ran = tuple[Path, Outcome]
VARIANTS = ("evaluation.distance=cosine", "evaluation.rerank={k1: 5, k2: 2, lambda: 0.3}",
            "evaluation.query_expansion={k: 2}", "evaluation.transductive_expansion={k: 2}",
            "evaluation.dsr={candidates: 5, weight: 0.25}")


@pytest.fixture(scope="module")
def evaluated(retrained: Ran, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    return folder, invoke("evaluate", *EVALUATE, *VARIANTS, f"checkpoint={retrained[0] / 'checkpoints' / 'best.pt'}",
                          f"hydra.run.dir={folder}")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_variants_stand_beside_the_plain_metrics(evaluated: Ran, retrained: Ran, tmp_path: Path) -> None:
    folder, outcome = evaluated
    assert outcome.code == 0, outcome.err
    result = json.loads((folder / "result.json").read_text())
    assert json.loads(outcome.out.splitlines()[-1]) == result["metrics"]
    assert list(result["variants"]) == ["rerank", "query_expansion", "transductive_expansion", "dsr"]
    for name, metrics in result["variants"].items():
        assert set(metrics) == set(result["metrics"]) and f"synthetic {name}: rank1 " in outcome.out
        assert result["protocol"]["variants"][name]["method"]
    assert len({metrics["mAP"] for metrics in (result["metrics"], *result["variants"].values())}) == 5
    assert result["protocol"]["re-ranking"] is False
    plain = invoke("evaluate", *EVALUATE, "evaluation.distance=cosine", "evaluation.bootstrap=null",
                   "evaluation.roc=false", "evaluation.camera_pairs=false", f"hydra.run.dir={tmp_path}",
                   f"checkpoint={retrained[0] / 'checkpoints' / 'best.pt'}")
    assert json.loads(plain.out.splitlines()[-1]) == result["metrics"]
    assert not {"variants", "confidence", "verification"} & set(json.loads((tmp_path / "result.json").read_text()))
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"ranked_lists.png", "cmc.png"}


def test_intervals_and_verification_are_stated(evaluated: Ran) -> None:
    folder, outcome = evaluated
    result = json.loads((folder / "result.json").read_text())
    for name in ("mAP", "rank1"):
        lower, upper = result["confidence"][name]
        assert 0 <= lower <= result["metrics"][name] <= upper <= 1
    assert result["confidence"]["level"] == 0.95 and result["confidence"]["over"] == "identities of the queries"
    assert "95% interval over identities: mAP " in outcome.out and "verification: TPR@FPR=1e-4 " in outcome.out
    pairs = result["verification"]
    gallery = len({row["path"] for row in table(folder / "queries.csv")})  # 4 people x 4 cameras
    assert gallery == 16 and pairs["genuine_pairs"] == 16 * 3 and pairs["impostor_pairs"] > 16 * 12


def test_tables_and_pictures(evaluated: Ran) -> None:
    folder, _ = evaluated
    result = json.loads((folder / "result.json").read_text())
    queries, cameras = table(folder / "queries.csv"), table(folder / "cameras.csv")
    assert sum(float(row["AP"]) for row in queries) / 16 == pytest.approx(result["metrics"]["mAP"])
    assert sum(float(row["AP_rerank"]) for row in queries) / 16 == pytest.approx(result["variants"]["rerank"]["mAP"])
    assert sum(row["first_match"] == "1" for row in queries) / 16 == result["metrics"]["rank1"]
    assert all(row["path"].endswith(".jpg") and f"_c{row['camera']}s" in row["path"] for row in queries)
    assert {row["query_camera"] for row in cameras} == {row["camera"] for row in queries}
    assert [row["gallery_camera"] for row in cameras[:4]] == ["all"] * 4 and len(cameras) == 4 + 4 * 3
    assert sum(int(row["queries"]) * float(row["mAP"]) for row in cameras[:4]) / 16 == pytest.approx(
        result["metrics"]["mAP"])
    for name in ("ranked_lists", "cmc", "roc", "cameras"):
        with Image.open(folder / "pictures" / f"{name}.png") as picture:
            assert picture.format == "PNG" and min(picture.size) > 100


def test_retrain_reports_the_same_beside_its_metrics(evaluated: Ran, retrained: Ran, searched: Ran,
                                                      no_pictures: None, tmp_path: Path) -> None:
    outcome = invoke("retrain", *RETRAIN, *VARIANTS, "evaluation.roc=true", f"hydra.run.dir={tmp_path / 'run'}",
                     f"genotype={searched[0] / 'genotype.json'}")
    assert outcome.code == 0, outcome.err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    again = invoke("evaluate", *EVALUATE, *VARIANTS, f"checkpoint={tmp_path / 'run' / 'checkpoints' / 'best.pt'}",
                   f"hydra.run.dir={tmp_path / 'again'}")
    assert again.code == 0
    expected = json.loads((tmp_path / "again" / "result.json").read_text())
    assert result["metrics"] == expected["metrics"] and result["protocol"] == expected["protocol"]
    assert result["further"] == {"synthetic": {name: expected[name] for name in ("confidence", "verification",
                                                                                 "variants")}}
    assert (tmp_path / "run" / "queries.csv").read_bytes() == (tmp_path / "again" / "queries.csv").read_bytes()
    assert "<td>synthetic: rerank mAP</td>" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(("override", "parts"), [
    ("evaluation.rerank=20", (r"evaluation\.rerank=20: expected null or arguments, such as \{k1: 20",)),
    ("evaluation.rerank={k3: 1}", (r"evaluation\.rerank has no argument k3; it has",)),
    ("evaluation.rerank={lambda: 2}", ("0 <= lambda <= 1",)),
    ("evaluation.query_expansion={k: 0}", (r"evaluation\.query_expansion\.k=0 must be at least 1",)),
    ("evaluation.dsr={}", (r"evaluation\.dsr does not go with evaluation\.distance=euclidean", "distance=cosine")),
    ("evaluation.bootstrap={samples: 3}", (r"evaluation\.bootstrap has samples=3",)),
    ("evaluation.distance=manhattan", ("distance=manhattan is unknown; known are: euclidean",)),
    ("evaluation.reranking={}", ("no key evaluation.reranking. Did you mean evaluation.rerank?",)),
])
def test_a_mistake_shows_before_any_data_are_touched(override: str, parts: tuple[str, ...], retrained: Ran,
                                                     no_data: Path, tmp_path: Path) -> None:
    outcome = invoke("evaluate", *EVALUATE, override, f"checkpoint={retrained[0] / 'checkpoints' / 'best.pt'}",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, *parts)
    assert not no_data.exists()
    assert_nothing_half_written(tmp_path / "run")


@pytest.mark.parametrize("override", ["evaluation.rerank={k3: 1}", "evaluation.dsr={}"])
def test_it_shows_before_a_training_too(override: str, no_data: Path, tmp_path: Path) -> None:
    outcome = invoke("retrain", *RETRAIN, "genotype=auto_reid/retrieval", override, f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, override.partition("=")[0])
    assert not no_data.exists()


@pytest.mark.parametrize(("override", "message"), [
    ("evaluation.rerank={k1: 99}", r"evaluation\.rerank\.k1=99 is larger than the gallery of \d+ images; choose at "),
    ("evaluation.query_expansion={k: 99}", r"evaluation\.query_expansion\.k=99 is larger than the gallery of"),
])
def test_a_gallery_too_small_shows_before_the_network_runs(override: str, message: str, retrained: Ran, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_reid.retrain.train_one_epoch", lambda *_, **__: pytest.fail("it trained"))
    monkeypatch.setattr("nas_reid.evaluation.retrieval.extract", lambda *_, **__: pytest.fail("it ran"))
    own = {"evaluate": (*EVALUATE, f"checkpoint={retrained[0] / 'checkpoints' / 'best.pt'}"),
           "retrain": (*RETRAIN, "genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]")}
    for command, arguments in own.items():
        outcome = invoke(command, *arguments, override, f"hydra.run.dir={tmp_path / command}")
        assert_refused(outcome, message)
        assert_nothing_half_written(tmp_path / command)


def test_the_configuration_teaches_the_options() -> None:
    config = (Path(nas_reid.evaluate.__file__).resolve().parents[1] / "conf" / "evaluate.yaml").read_text()
    for option in ("rerank", "query_expansion", "transductive_expansion", "dsr", "bootstrap", "roc", "camera_pairs"):
        assert f"\n  {option}: " in config
