"""Training on sources, choosing on a validation domain, and evaluating on unseen targets."""

import json
from pathlib import Path

import pytest
import torch

from tests.cli.commands import DATA, RETRAIN, Outcome, invoke

NETWORK = ("genotype=osnet_ain/paper", "network.width=0.25", "data=synthetic_domains")


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("crossed") / "run"
    return folder, invoke("retrain", *RETRAIN, *NETWORK, "+sources.more.synthetic.seed=1", "targets=[b,c]",
                          "validation_data=d", "freeze_trunk_epochs=1", "optimizer.amsgrad=true",
                          f"hydra.run.dir={folder}")


def test_targets_are_evaluated_and_the_validation_domain_chooses(crossed: tuple[Path, Outcome]) -> None:
    folder, outcome = crossed
    assert outcome.code == 0, outcome.err
    result = json.loads((folder / "result.json").read_text())
    assert set(result["targets"]) == {"b", "c"} and result["metrics"]["num_queries"] == 16
    assert len({metrics["mAP"] for metrics in (result["metrics"], *result["targets"].values())}) == 3
    assert (result["selection"]["split"], result["selection"]["by"]) == ("validation", "d")
    assert result["selection"]["num_queries"] == 16  # all of d's, where a fifth of the people would have had 8
    assert "training data: 160 images of 20 identities" in outcome.out  # both sources, nobody held out
    pictures = {path.stem for path in (folder / "pictures").glob("*.png")}
    assert pictures >= {"activations", "gates", "ranked_lists", "ranked_lists_b", "cmc_c"}
    assert "<td>b mAP</td>" in (folder / "report.html").read_text()


def test_a_target_is_scored_as_evaluate_scores_it(crossed: tuple[Path, Outcome], tmp_path: Path) -> None:
    folder, _ = crossed
    outcome = invoke("evaluate", *DATA, "threads=1", "data=synthetic_domains", "data.synthetic.domain=c",
                     f"checkpoint={folder / 'checkpoints' / 'best.pt'}", f"hydra.run.dir={tmp_path}")
    assert json.loads(outcome.out.splitlines()[-1]) == json.loads((folder / "result.json").read_text())["targets"]["c"]


def test_the_trunk_is_frozen_in_the_first_epoch(tmp_path: Path, no_pictures: None) -> None:
    states = {}
    for epochs, frozen in ((1, 0), (2, 1)):
        folder = tmp_path / str(epochs)
        outcome = invoke("retrain", *RETRAIN, *NETWORK, f"epochs={epochs}", f"freeze_trunk_epochs={frozen}",
                         "optimizer.warmup_epochs=0", "full_training_set=true", f"hydra.run.dir={folder}")
        assert outcome.code == 0, outcome.err
        states[epochs] = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)["weights"]
    steps = {epochs: int(state["trunk.conv5.bn.num_batches_tracked"]) for epochs, state in states.items()}
    assert steps[1] == steps[2] > 0


def test_held_out_cameras_validate(tmp_path: Path, no_pictures: None) -> None:
    outcome = invoke("retrain", *RETRAIN, *NETWORK, "validation_by=camera", f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert "training data: 40 images of 10 identities; validation: 20 query, 20 gallery" in outcome.out
    assert json.loads((tmp_path / "result.json").read_text())["selection"]["by"] == "camera"


@pytest.mark.parametrize(("override", "message"), [
    ("targets=[nowhere]", "targets.nowhere: expected a file of conf/data"),
    ("+targets.b.synthetic.occlusion=1", "targets.b.synthetic has no factor occlusion"),
    ("sources=[a]", "have images in common; name each of the sources once"),
])
def test_a_mistake_in_a_target_costs_nothing(override: str, message: str, tmp_path: Path) -> None:
    outcome = invoke("retrain", *RETRAIN, *NETWORK, override, f"hydra.run.dir={tmp_path}")
    assert outcome.code == 1 and message in outcome.err
    assert not (tmp_path / "checkpoints").exists()
