"""Losses and heads chosen on the command line, through a search, a retraining and an evaluation."""

import json
from pathlib import Path

import pytest
import torch

from tests.cli.commands import EVALUATE, RETRAIN, SEARCH, invoke

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_circle_triplet_and_gem_in_a_search_then_stripes_in_a_retraining(tmp_path: Path) -> None:
    found, trained = tmp_path / "search", tmp_path / "retrain"
    search = invoke("search", *SEARCH, "epochs=1", "head.pooling=gem", "head.classifier=cosine", "split.by=identity",
                    "objective.weights.cross_entropy=null", "objective.weights.circle.weight=0.5",
                    "objective.weights.center.weight=1e-3", "objective.alphas.cross_entropy.weight=0",
                    "objective.alphas.triplet.weight=0", "objective.alphas.weighted_triplet={}",
                    f"hydra.run.dir={found}")
    assert search.code == 0, search.err
    record = json.loads((found / "metrics.jsonl").read_text().splitlines()[0])
    assert {f"search/loss_weights_{name}" for name in ("circle", "triplet", "center")} <= set(record)
    assert "search/loss_weights_cross_entropy" not in record
    retrain = invoke("retrain", *RETRAIN, "epochs=1", "optimizer.warmup_epochs=0", f"genotype={found}/genotype.json",
                     "head.stripes=2", "head.reduction=4", "head.pooling=gem", "objective.triplet.weight=0",
                     f"hydra.run.dir={trained}")
    assert retrain.code == 0, retrain.err
    checkpoint = trained / "checkpoints" / "best.pt"
    state = torch.load(checkpoint, weights_only=True)
    assert state["description"]["head"]["stripes"] == 2 and state["weights"]["head.parts.1.pooling.p"] != 3
    evaluate = invoke("evaluate", *EVALUATE, f"checkpoint={checkpoint}", f"hydra.run.dir={tmp_path / 'evaluate'}")
    assert evaluate.code == 0, evaluate.err
    results = [json.loads((folder / "result.json").read_text()) for folder in (trained, tmp_path / "evaluate")]
    assert results[0]["metrics"] == results[1]["metrics"]
