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


def test_it_is_continued_and_selected_from(tmp_path: Path) -> None:
    search = (*SEARCH, *TRIPLETS, "alphas_data=d", f"hydra.run.dir={tmp_path / 'run'}")
    assert invoke("search", *search).code == 0
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert state["epoch"] == 2
    outcome = invoke("select", f"search={tmp_path / 'run'}", "method=sampling", "candidates=2",
                     f"hydra.run.dir={tmp_path / 'select'}")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(("arguments", "message"), [
    (("alphas_data=d",), "objective.alphas.cross_entropy.weight=0.5 must be 0 with alphas_data"),
    (("alphas_data=nowhere", *TRIPLETS), "alphas_data.nowhere: expected a file of conf/data"),
    (("alphas_data=[c,d]", *TRIPLETS), "alphas_data names c, d; expected one data set"),
    (("alphas_data=synthetic", *TRIPLETS), "alphas_data names synthetic, which"),
    (("alphas_data=d", "algorithm.scheme=joint", "algorithm.warmup_epochs=0", *TRIPLETS),
     "does not go with algorithm.scheme=joint"),
])
def test_what_the_alphas_cannot_learn_from_is_refused(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    outcome = invoke("search", *SEARCH, *arguments, f"hydra.run.dir={tmp_path}")
    assert outcome.code == 1 and message in outcome.err, outcome.err
