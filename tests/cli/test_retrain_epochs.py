"""What a retraining does around its epochs; the epochs themselves are a stand-in that trains nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch

from nas_reid.training.training import Training
from search_spaces.auto_reid.network import DropPath
from tests.cli.commands import RETRAIN, invoke

NETWORK = ("genotype=auto_reid/retrieval", "network.channels=8", "network.layers=[1,1]")


def test_drop_path_grows_to_its_rate_and_the_average_is_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                     no_pictures: None) -> None:
    rates: list[set[float]] = []

    def stand_in(training: Training, _: object, epoch: int, **__: Any) -> dict[str, float]:
        training.begin(epoch)
        rates.append({module.rate for module in training.network.modules() if isinstance(module, DropPath)})
        training.network.head.classifier.weight.data.add_(1)
        return {}

    monkeypatch.setattr("nas_reid.retrain.train_one_epoch", stand_in)
    outcome = invoke("retrain", *RETRAIN, *NETWORK, "epochs=3", "drop_path=0.4", "ema=0.9", "full_training_set=true",
                     "evaluation.every=3", f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert rates == [{0.0}, {0.2}, {0.4}]
    last = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    live, average = (last["training"][name]["network"] if name == "average" else last["training"][name]
                     for name in ("network", "average"))
    kept = last["weights"]["head.classifier.weight"]
    assert torch.equal(kept, average["head.classifier.weight"])
    assert torch.equal(kept + 1 + 1 + 1, live["head.classifier.weight"])
