"""The whole way: search, retrain what was found, evaluate what was trained, describe what was published."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open

import nas_reid.describe
from nas_reid.data.readers import read_dataset
from tests.cli.commands import DATA, EVALUATE, Outcome, invoke

Ran = tuple[Path, Outcome]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_pictures(folder: Path, *names: str) -> None:
    for name in names:
        with Image.open(folder / "pictures" / f"{name}.png") as picture:
            assert picture.format == "PNG" and min(picture.size) > 100
            assert len(set(picture.convert("L").resize((64, 64)).tobytes())) > 1, f"{name} is blank"


def test_a_search_leaves_its_genotypes_its_record_and_its_pictures(searched: Ran) -> None:
    folder, outcome = searched
    assert outcome.code == 0, outcome.err
    epochs = [json.loads((folder / "genotypes" / f"epoch_{epoch:03d}.json").read_text()) for epoch in (1, 2)]
    assert json.loads((folder / "genotype.json").read_text()) == epochs[1]
    assert [genotype["provenance"]["epoch"] for genotype in epochs] == [1, 2]
    records = lines(folder / "metrics.jsonl")
    assert [record["epoch"] for record in records] == [1, 2]
    assert records[0]["search/loss_alphas"] > 0 and records[0]["search/loss_weights"] > 0
    result = json.loads((folder / "result.json").read_text())
    assert (result["kind"], result["space"], result["seed"]) == ("search", "auto_reid", 0)
    assert result["selection"]["mAP"] == records[-1]["search/val_mAP"] == epochs[1]["provenance"]["validation"]["mAP"]
    assert result["config"]["data"]["synthetic"]["train_ids"] == 10
    assert torch.load(folder / "checkpoints" / "last.pt", weights_only=True)["epoch"] == 2
    assert_pictures(folder, "cells", "supernet", "alphas", "training")
    assert "<html" in (folder / "report.html").read_text()
    assert not [path for path in folder.rglob(".*") if path.is_file()], "a temporary file was left"


def test_a_search_prints_the_command_that_comes_next(searched: Ran) -> None:
    folder, outcome = searched
    assert f"next: python -m nas_reid.retrain genotype={folder / 'genotype.json'} {shlex.join(DATA)}\n" in outcome.out


def test_a_retraining_leaves_its_network_its_record_and_its_pictures(retrained: Ran) -> None:
    folder, outcome = retrained
    assert outcome.code == 0, outcome.err
    records = lines(folder / "metrics.jsonl")
    result = json.loads((folder / "result.json").read_text())
    best = max(records, key=lambda record: record["retrain/val_mAP"])
    assert result["selection"]["epoch"] == best["epoch"] and result["selection"]["mAP"] == best["retrain/val_mAP"]
    assert 0 < result["metrics"]["mAP"] <= 1 and result["metrics"]["num_queries"] == 16  # 4 people x 4 cameras
    checkpoint = torch.load(folder / "checkpoints" / "best.pt", weights_only=True)
    assert checkpoint["epoch"] == best["epoch"]
    with safe_open(folder / "model.safetensors", framework="pt") as exported:
        assert set(exported.keys()) == set(checkpoint["weights"])
        assert all(torch.equal(exported.get_tensor(name), value) for name, value in checkpoint["weights"].items())
        assert json.loads(exported.metadata()["nas_reid"])["num_classes"] == 8  # 10 people, 2 held out
    assert_pictures(folder, "ranked_lists", "cmc", "cells", "training")
    assert "<html" in (folder / "report.html").read_text()
    assert (f"next: python -m nas_reid.evaluate checkpoint={folder / 'checkpoints' / 'best.pt'} {shlex.join(DATA)}\n"
            in outcome.out)


def test_evaluating_the_checkpoint_gives_the_very_numbers_of_the_retraining(retrained: Ran, tmp_path: Path) -> None:
    folder, _ = retrained
    outcome = invoke("evaluate", *EVALUATE, f"checkpoint={folder / 'checkpoints' / 'best.pt'}",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    expected = json.loads((folder / "result.json").read_text())
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["metrics"] == expected["metrics"] == json.loads(outcome.out.splitlines()[-1])
    assert result["protocol"] == expected["protocol"]
    assert_pictures(tmp_path / "run", "ranked_lists", "cmc")


def test_another_layout_of_the_same_images_gives_the_same_numbers(retrained: Ran, tmp_path: Path) -> None:
    """A data set of another reader, at the size that the network was trained on."""
    folder, outcome = retrained
    drawn = read_dataset("market1501", re.search(r"gallery images in (\S+)", outcome.out)[1])
    for part in ("train", "query", "gallery"):
        (tmp_path / "mine" / part).mkdir(parents=True)
        for sample in getattr(drawn, part):
            shutil.copy(drawn.root / sample.path, tmp_path / "mine" / part)
    outcome = invoke("evaluate", "data=folder", f"data.root={tmp_path / 'mine'}", "threads=1", "data.workers=1",
                     f"checkpoint={folder / 'checkpoints' / 'best.pt'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["image_size"] == [32, 16]
    assert result["metrics"] == json.loads((folder / "result.json").read_text())["metrics"]


def test_distance_and_flip_change_the_numbers_and_are_stated(retrained: Ran, tmp_path: Path) -> None:
    folder, _ = retrained
    invoke("evaluate", *EVALUATE, f"checkpoint={folder / 'checkpoints' / 'last.pt'}", "evaluation.distance=cosine",
           "evaluation.flip=false", f"hydra.run.dir={tmp_path / 'run'}")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["protocol"]["distance"], result["protocol"]["flip"]) == ("cosine", False)
    assert result["metrics"] != json.loads((folder / "result.json").read_text())["metrics"]


@pytest.mark.parametrize(("name", "params", "gmacs"), [
    ("baseline", 11_841_199, 2.029), ("baseline_reid", 10_972_847, 1.704), ("retrieval", 11_409_519, 1.840)])
def test_describe_counts_the_published_genotypes(name: str, params: int, gmacs: float, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nas_reid.describe, "draw_genotype", lambda *_: None)
    arguments = (f"genotype=auto_reid/{name}", "num_classes=751", "image_size=[384,128]", f"hydra.run.dir={tmp_path}")
    outcome = invoke("describe", *arguments)
    *table, last = outcome.out.splitlines()
    summary = json.loads(last)
    assert summary["params"] == params
    assert summary["macs"] == pytest.approx(gmacs * 1e9, rel=2e-3)
    rows = [line.split() for line in table[1:]]
    assert table[0].split() == ["stage", "output", "params", "MMACs"]
    assert [row[0] for row in rows][:2] == ["trunk.stem", "trunk.cells.0"] and rows[-1][0] == "head.classifier"
    assert sum(int(row[2].replace(",", "")) for row in rows) == params
    assert sum(float(row[3].replace(",", "")) for row in rows) * 1e6 == pytest.approx(summary["macs"], rel=1e-3)
    with_neck = json.loads(invoke("describe", *arguments, "head.neck=true").out.splitlines()[-1])
    assert with_neck["params"] == params + 4_096


def test_describe_reads_and_draws_a_genotype_of_a_search(searched: Ran, tmp_path: Path) -> None:
    outcome = invoke("describe", f"genotype={searched[0] / 'genotype.json'}", "image_size=[64,32]", "num_classes=8",
                     f"hydra.run.dir={tmp_path}")
    summary = json.loads(outcome.out.splitlines()[-1])
    assert summary["space"] == "auto_reid" and summary["embedding"] == 16  # 2 nodes of 4 channels, doubled once
    with Image.open(summary["picture"]) as picture:
        assert picture.format == "PNG"
