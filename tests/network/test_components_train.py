"""Every loss, pooling and head trains for an epoch on drawn people: all that is to learn moves, and stays finite."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_reid.config.groups import DataConfig
from nas_reid.data.augment import build_augment
from nas_reid.data.sample import label_map
from nas_reid.data.source import open_source, training_batches
from nas_reid.losses.objective import LOSSES, build_objective
from nas_reid.modules.head import build_head
from nas_reid.modules.pooling import POOLINGS
from nas_reid.network.model import ReIDNetwork
from nas_reid.training.epoch import train_one_epoch
from nas_reid.training.optim import LearningRate, build_optimizer, parameter_groups
from nas_reid.training.training import Training
from tests.same_batches import SameBatches

CPU = torch.device("cpu")


class Trunk(nn.Module):
    """Maps 8 x 4 of images 32 x 16."""

    out_channels = 8

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4, padding=2, bias=False), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, images: Tensor, modality: Tensor | None = None) -> Tensor:
        return self.layers(images)


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> SameBatches:
    """Every other image counts as infrared."""
    drawn: dict[str, Any] = {"size": "tiny", "train_ids": 10, "test_ids": 2, "distractor_ids": 1,
                             "image_size": [48, 24]}
    source = open_source(DataConfig(name="synthetic", reader="market1501", root=None, synthetic=drawn,
                                    image_size=[32, 16],
                                    cache=str(Path(tmp_path_factory.mktemp("cache"))), workers=1, on_corrupt="error"))
    store = source.train_store()
    drawer = training_batches(store, store.samples, build_augment({}), labels=label_map(store.samples), identities=4,
                              instances=4, seed=0, device=CPU)
    return SameBatches(batch._replace(modalities=torch.arange(16) % 2) for batch in drawer.epoch(0))


def train(batches: SameBatches, terms: dict[str, Any], head: dict[str, Any]) -> tuple[dict[str, float], set[str]]:
    """What an epoch recorded, and which weights and powers it left as they were."""
    torch.manual_seed(0)
    network = ReIDNetwork(Trunk(), build_head(8, 10, **head))
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = build_optimizer("sgd", parameter_groups(network.named_parameters(), weight_decay=0.0), lr=0.05)
    training = Training(network, build_objective(terms, network.head), optimizer,
                        LearningRate(base=0.05, schedule="constant", epochs=1), distillation=None, average=None,
                        accumulate=1, clip=5.0)
    record = train_one_epoch(training, batches, 0, seed=0, name="retrain")
    still = {name for name, parameter in network.named_parameters()
             if torch.equal(parameter, before[name]) and (parameter.ndim > 1 or name.endswith(".p"))}
    assert all(parameter.isfinite().all() for parameter in network.parameters())
    return record, still


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(name: str, batches: SameBatches) -> None:
    classifier = "cosine" if LOSSES[name].needs_cosines else "linear"
    record, still = train(batches, {name: {}}, {"neck": True, "classifier": classifier})
    assert record[f"retrain/loss_{name}"] == record["retrain/loss"] > 0
    sees_logits = name in ("cross_entropy", "arcface", "cosface", "circle")
    assert still == (set() if sees_logits else {"head.classifier.weight"})


def test_all_losses_together_on_stripes(batches: SameBatches) -> None:
    record, still = train(batches, {name: {"weight": 0.1} for name in LOSSES},
                          {"neck": True, "classifier": "cosine", "stripes": 2})
    assert not still
    total = sum(0.1 * record[f"retrain/loss_{name}"] for name in LOSSES)
    assert record["retrain/loss"] == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling(pooling: str, batches: SameBatches) -> None:
    assert not train(batches, {"cross_entropy": {}, "triplet": {}}, {"neck": True, "pooling": pooling})[1]


@pytest.mark.parametrize("head", [
    {}, {"neck": True, "neck_bias": False, "classifier_bias": False, "metric_features": "after_neck"},
    {"embedding": 6, "embedding_norm_relu": True, "dropout": 0.1},
    {"reduction": 6, "dropout": 0.1}, {"reduction": 6, "reduction_form": "leaky_relu", "neck": True},
    {"reduction": 6, "reduction_form": "linear", "neck": True, "classifier": "cosine"},
    {"reduction": 6, "embedding": 4}, {"stripes": 4, "reduction": 4}, {"stripes": 2, "pooling": "gem", "neck": True},
], ids=str)
def test_every_head(head: dict[str, Any], batches: SameBatches) -> None:
    assert not train(batches, {"cross_entropy": {"smoothing": 0.1}, "weighted_triplet": {}}, head)[1]
