"""A search whose alphas learn from people of another data set."""

import json
from pathlib import Path

import pytest
import torch

from nas_reid.genotype import Genotype
from tests.cli.commands import SEARCH, invoke

TRIPLETS = ("objective.alphas.cross_entropy.weight=0", "objective.alphas.triplet.weight=1")


def test_the_alphas_learn_from_another_domain(tmp_path: Path) -> None:
    alphas = {}
    for name, further in (("own", ("split.by=identity",)), ("other", ("alphas_data=d",)),
                          ("again", ("alphas_data=d",))):
        outcome = invoke("search", *SEARCH, *TRIPLETS, *further, f"hydra.run.dir={tmp_path / name}")
        assert outcome.code == 0, outcome.err
        alphas[name] = Genotype.load(tmp_path / name / "genotype.json").probabilities
        line = next(line for line in outcome.out.splitlines() if "search data: " in line)
        # 10 people, of whom 2 validate: with their own, 4 learn the weights and 4 the alphas
        assert ("8 identities" in line) and line.count("images for") == 2, line
    assert alphas["other"] == alphas["again"] != alphas["own"]
    assert json.loads((tmp_path / "other" / "result.json").read_text())["config"]["alphas_data"] == "d"


def test_it_is_selected_from(tmp_path: Path) -> None:
    search = (*SEARCH, *TRIPLETS, "alphas_data=d", f"hydra.run.dir={tmp_path / 'run'}")
    assert invoke("search", *search).code == 0
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert state["epoch"] == 2
    del state["config"]["alphas_data"]  # as of a search from before the key
    (tmp_path / "old" / "checkpoints").mkdir(parents=True)
    torch.save(state, tmp_path / "old" / "checkpoints" / "last.pt")
    for name in ("run", "old"):
        outcome = invoke("select", f"search={tmp_path / name}", "method=sampling", "candidates=2",
                         f"hydra.run.dir={tmp_path / 'select'}")
        assert outcome.code == 0, outcome.err


def test_it_goes_on_to_more_epochs_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    alphas, steady = [], ("weights.schedule=constant", "alphas.schedule=constant",
                          "algorithm.temperature.schedule=constant")
    for name, epochs in (("parts", 1), ("parts", 2), ("whole", 2)):
        outcome = invoke("search", *SEARCH, *TRIPLETS, *steady, "alphas_data=d", f"epochs={epochs}", "resume=extend",
                         f"hydra.run.dir={tmp_path / name}")
        assert outcome.code == 0, outcome.err
        alphas.append(Genotype.load(tmp_path / name / "genotype.json").probabilities)
    assert alphas[1] == alphas[2] != alphas[0]


@pytest.mark.parametrize(("arguments", "message"), [
    (("alphas_data=d",), "objective.alphas.cross_entropy.weight=0.5 must be 0 with alphas_data"),
    (("alphas_data=nowhere", *TRIPLETS), "alphas_data.nowhere: expected a file of conf/data"),
    (("alphas_data=[c,d]", *TRIPLETS), "alphas_data names c, d; expected one data set"),
    (("alphas_data=synthetic", *TRIPLETS), "alphas_data names synthetic, which"),
    (("alphas_data=d", "algorithm.scheme=joint", "algorithm.warmup_epochs=0", *TRIPLETS),
     "does not go with algorithm.scheme=joint, whose alphas take no steps of their own"),
])
def test_what_the_alphas_cannot_learn_from_is_refused(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    outcome = invoke("search", *SEARCH, *arguments, f"hydra.run.dir={tmp_path}")
    assert outcome.code == 1 and message in outcome.err, outcome.err


def test_other_data_that_is_not_there_is_missed_before_anything_is_decoded(tmp_path: Path) -> None:
    outcome = invoke("search", *SEARCH, *TRIPLETS, f"alphas_data={{market1501: {{root: {tmp_path / 'none'}}}}}",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 1 and "is not a folder" in outcome.err and "training," not in outcome.out
