"""NFS-style search from end to end: masks, a smaller network that inherits the supernet's weights, its description."""

import json
import re
from pathlib import Path

import pytest
import torch

from nas_reid.backbones.two_stream import TwoStreamResNet
from nas_reid.genotype import Genotype
from tests.cli.commands import invoke

LAYOUT = ("data=synthetic_ir", "data.synthetic.size=tiny", "data.synthetic.train_ids=8", "data.synthetic.test_ids=4",
          "data.synthetic.image_size=[48,24]", "data.image_size=[32,16]", "data.workers=1",
          "data.synthetic.images_per_camera=2")
SYSU = (*LAYOUT, "data.synthetic.val_ids=2")
NETWORK = ("space.width=0.0625", "batch.size=8", "batch.instances=4", "epochs=1", "evaluation.every=1")


@pytest.mark.usefixtures("no_pictures")
def test_search_retrain_describe(tmp_path: Path) -> None:
    search, child = tmp_path / "search", tmp_path / "child"
    searched = invoke("search", "experiment=nfs_synthetic_ir", *SYSU, *NETWORK, "algorithm.warmup_epochs=0",
                      "weights.warmup_epochs=0", "split.by=official", "validation_by=official",
                      "space.ratio=0.7", "wandb.mode=disabled", f"hydra.run.dir={search}")
    assert searched.code == 0, searched.err
    state = torch.load(search / "checkpoints" / "last.pt", weights_only=True)["bilevel"]["arch"]
    assert state["values.layer4_channels"].shape == (32, 2) and len(state) == 15
    genotype = search / "genotype.json"
    assert list(Genotype.load(genotype).body) == ["layer1", "layer2", "layer3", "layer4"]

    trained = invoke("retrain", "experiment=nfs_synthetic_ir_retrain", *SYSU, *NETWORK[1:], f"genotype={genotype}",
                     "optimizer.warmup_epochs=0", f"weights={search / 'checkpoints' / 'last.pt'}",
                     "wandb.mode=disabled", f"hydra.run.dir={child}")
    assert trained.code == 0, trained.err
    assert "loaded 1" in (child / "retrain.log").read_text()
    assert f"next: python -m nas_reid.evaluate checkpoint={child / 'checkpoints' / 'best.pt'} data=synthetic_ir " \
        in trained.out  # which the experiment chose
    assert next(iter(json.loads((child / "result.json").read_text())["trials"])) == "all-search single-shot"

    described = [invoke("describe", f"genotype={name}", "network.width=0.0625", "network.depth=18",
                        "network.image_size=[32,16]", "image_size=[32,16]", f"hydra.run.dir={tmp_path / 'describe'}")
                 for name in (genotype, "nfs/open")]
    small, full = (json.loads(outcome.out.splitlines()[-1]) for outcome in described)
    assert small["params"] < full["params"] and small["macs"] < full["macs"] and small["embedding"] == 23 < 32
    assert small["kept"]["layer4"]["channels"] == {"visible": 0.71875, "infrared": 0.71875, "iou": 1.0}
    assert full["kept"]["layer1"]["pixels"] == {"visible": 1.0, "infrared": 1.0, "iou": 1.0}
    assert "trunk.layer3" in described[0].out and "channels infrared" in described[0].out


@pytest.mark.usefixtures("no_pictures")
def test_norm_sites_in_regdb_layout_from_weights_of_torchvision(tmp_path: Path) -> None:
    plain = TwoStreamResNet(18, 1 / 16, specific=0).state_dict()
    torch.save({name.removeprefix("stem."): value for name, value in plain.items()}, tmp_path / "resnet18.pth")
    outcome = invoke("search", "experiment=norm_sites_synthetic_ir", *LAYOUT, "data.synthetic.layout=regdb", *NETWORK,
                     "algorithm.warmup_epochs=0", "weights.warmup_epochs=0", "validation_fraction=0.3",
                     f"pretrained={tmp_path / 'resnet18.pth'}", "wandb.mode=disabled", f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert re.search(r"resnet18.pth: loaded 3\d\d of 3\d\d entries", (tmp_path / "search.log").read_text())
    assert set(Genotype.load(tmp_path / "genotype.json").body.values()) <= {"split", "share"}


def test_gates_refuse_decisions_of_more_than_two_choices(no_data: Path, tmp_path: Path) -> None:
    outcome = invoke("search", "space=auto_reid", "algorithm=nfs", "algorithm.regularisers.cost_budget.weight=0",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code != 0 and not no_data.exists()
    assert "is a gate between two choices" in outcome.out + outcome.err
