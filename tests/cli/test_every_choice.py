"""Whatever the configuration offers runs: every choice is taken by one of the small runs of ``covering_runs``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nas_reid.evaluate
from nas_reid.nas.relaxation import RELAXATIONS
from nas_reid.registry import create_space, known_spaces
from nas_reid.run.composition import composition
from nas_reid.search_space import OffersOpParameters
from tests.cli.choices import AUGMENTS, CONF, FORMS, OFFERED, SPACE_ARGUMENTS, at, composed, taken
from tests.cli.commands import invoke
from tests.cli.covering_runs import CHAINS, RESIDUAL, Chain, evaluate_line, retrain_line, search_line, words
from tests.composing import defaults

# Keys that no run here needs to change, and why.
FIXED = {
    "data": "what readers take of it is tested in tests/data", "wandb": "tests/record", "resume": "test_resume",
    "compile": "compiling takes a minute; tests/network/test_execution", "device": "a GPU is needed",
    "experiment": "tests/config composes all", "seed": "any", "genotype": "mandatory", "checkpoint": "mandatory",
    "pretrained": "test_nfs", "teacher_resize": "test_distillation", "teacher": "test_distillation",
    "distillation": "test_distillation", "sources": "test_cross_domain", "targets": "test_cross_domain",
    "validation_data": "test_cross_domain", "alphas_data": "test_alphas_data",
    "search algorithm.bounds.cost": "test_tabulate_and_select", "image_size": "test_evaluation_options",
    "retrain evaluation.camera_pairs": "for evaluate", "evaluate evaluation.every": "for a training",
}


@pytest.fixture(autouse=True)
def without_pictures(no_pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take most of the time of a small evaluation too."""
    monkeypatch.setattr(nas_reid.evaluate, "draw_retrieval", lambda *_, **__: [])


@pytest.mark.parametrize("chain", CHAINS, ids=[f"{number}-{chain.space}-{chain.algorithm}"
                                               for number, chain in enumerate(CHAINS)])
def test_search_retrain_evaluate(chain: Chain, tmp_path: Path) -> None:
    search, child = tmp_path / "search", tmp_path / "child"
    lines = {"search": (search_line(chain), f"hydra.run.dir={search}")}
    if chain.retrain is not None:
        weights = search / "checkpoints" / "last.pt"
        lines["retrain"] = ([word.replace("=SEARCH", f"={weights}") for word in retrain_line(chain.retrain)],
                            f"genotype={search / 'genotype.json'}", f"hydra.run.dir={child}")
    if chain.evaluate is not None:
        lines["evaluate"] = (evaluate_line(chain.evaluate), f"checkpoint={child / 'checkpoints' / 'best.pt'}",
                             f"hydra.run.dir={tmp_path / 'evaluation'}")
    for command, (overrides, *rest) in lines.items():
        outcome = invoke(command, *overrides, *rest)
        assert outcome.code == 0, outcome.out + outcome.err


@pytest.mark.parametrize("genotype", RESIDUAL)
def test_retrain_a_residual_network(genotype: str, tmp_path: Path) -> None:
    outcome = invoke("retrain", *retrain_line(RESIDUAL[genotype]), f"genotype={genotype}", f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.out + outcome.err


@pytest.fixture(scope="module")
def configurations() -> Iterator[dict[str, list[dict[str, Any]]]]:
    """What the runs are configured with, by command."""
    retrained = [chain.retrain for chain in CHAINS if chain.retrain is not None] + list(RESIDUAL.values())
    lines = {"search": [search_line(chain) for chain in CHAINS], "retrain": map(retrain_line, retrained),
             "evaluate": [evaluate_line(chain.evaluate) for chain in CHAINS if chain.evaluate is not None]}
    with composition():
        yield {command: [composed(command, line) for line in of] for command, of in lines.items()}


def test_every_value_has_a_run(configurations: dict[str, list[dict[str, Any]]]) -> None:
    missing = {}
    for command, keys in OFFERED.items():
        for key, values in keys.items():
            seen = {value for each in configurations[command] for value in taken(each, key)}
            missing[f"{command} {key}"] = set(values) - seen
    overrides = [line for chain in CHAINS for line in (chain.search, chain.retrain or "")] + list(RESIDUAL.values())
    missing["augment"] = AUGMENTS - {word.partition("=")[2] for line in overrides for word in words(line)}
    for (name, argument), forms in FORMS.items():
        of = [arguments for command, key in (("search", "objective.weights"), ("retrain", "objective"),
                                             ("retrain", "evaluation"), ("evaluate", "evaluation"))
              for each in configurations[command] if (arguments := at(each, f"{key}.{name}"))]
        missing[f"{name}.{argument}"] = set(forms) - {each.get(argument, forms[0]) for each in of}
    for space, arguments in SPACE_ARGUMENTS.items():
        of = [each["space"] for each in configurations["search"] if each["space"]["name"] == space]
        for key, values in arguments.items():
            missing[f"space={space} space.{key}"] = set(values) - {each[key] for each in of}
    missing = {key: values for key, values in missing.items() if values}
    assert not missing, missing


def test_every_algorithm_searches_every_space_that_it_can(configurations: dict[str, list[dict[str, Any]]]) -> None:
    relaxations = {path.stem: composed("search", [f"algorithm={path.stem}"])["algorithm"]["relaxation"]
                   for path in (CONF / "algorithm").glob("*.yaml")}
    ran = {(chain.space, chain.algorithm) for chain in CHAINS}
    for name in set(known_spaces()) - {"toy"}:
        arguments = {**composed("search", [f"space={name}"])["space"]}
        space = create_space(arguments.pop("name"), arguments | ({"image_size": [32, 16]} if name == "nfs" else {}))
        for algorithm, relaxation in relaxations.items() if space.decisions() else ():
            gate = relaxation in RELAXATIONS and RELAXATIONS[relaxation].is_binary
            can = not gate or all(len(decision.choices) == 2 for decision in space.decisions())
            can = can and (algorithm != "oles" or isinstance(space, OffersOpParameters))
            assert ((name, algorithm) in ran) == can, (name, algorithm)


def leaves(configuration: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in configuration.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@pytest.mark.parametrize("command", ["search", "retrain", "evaluate"])
def test_every_key_is_changed_by_a_run(command: str, configurations: dict[str, list[dict[str, Any]]]) -> None:
    known = dict(leaves(defaults(command)))
    seen = {key: {str(at(each, key)) for each in configurations[command]} | {str(value)}
            for key, value in known.items() if not {key.split(".")[0], f"{command} {key}"} & FIXED.keys()}
    same = [key for key, values in seen.items() if len(values) == 1]
    assert not same, same
