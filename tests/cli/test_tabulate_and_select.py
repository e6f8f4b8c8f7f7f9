"""Trainings by lot into a table, and selection on a trained supernet, as a person runs them."""

import json
import shlex
import statistics
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

import nas_reid.tabulate
from nas_reid.genotype import Genotype
from nas_reid.network.complexity import count_parameters
from nas_reid.registry import space_of
from nas_reid.run.compose import settings
from nas_reid.tables import Line, Table
from tests.cli.commands import DATA, SEARCH, Outcome, invoke

RECIPE = ("recipe=[" + ",".join(f'"{text}"' for text in (
    *DATA, "network={channels: 4, layers: [1, 1]}", "epochs=1", "batch.size=8", "optimizer.warmup_epochs=0",
    "evaluation.every=1", "evaluation.flip=false")) + "]")
TABULATE = ("space.nodes=2", RECIPE, "count=2", "repeated=1", "repeats=2")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two genotypes, the first with two seeds; the last line was lost by a kill and made again."""
    path = tmp_path_factory.mktemp("table") / "toy.jsonl"
    first = invoke("tabulate", *TABULATE, f"table={path}", f"hydra.run.dir={path.parent / 'first'}")
    assert first.code == 0, first.err
    whole = path.read_text()
    path.write_text(whole[:-40])
    again = invoke("tabulate", *TABULATE, f"table={path}", f"hydra.run.dir={path.parent / 'again'}")
    assert again.code == 0 and "1 to go" in again.out, again.err
    assert [_without_times(line) for line in path.read_text().splitlines()] == [
        _without_times(line) for line in whole.splitlines()]
    return path


def _without_times(line: str) -> dict:
    return {key: value for key, value in json.loads(line).items() if key != "seconds"}


def test_a_table_holds_what_was_asked_for(table: Path) -> None:
    read = Table(table)
    assert [(line.origin, line.seed) for line in read.lines] == [("random 0", 0), ("random 0", 1), ("random 1", 0)]
    assert all(0 <= line.mAP <= 1 and set(line.curve) == {1} and line.params > 0 for line in read.lines)
    assert read.query(read.genotypes()[0]).mAP == pytest.approx(sum(line.mAP for line in read.lines[:2]) / 2)
    assert read.lines[0].mAP != read.lines[1].mAP  # seeds differ in more than their names


def test_masks_by_lot_are_those_of_the_recipes_image_size() -> None:
    recipe = settings("retrain", ["experiment=table_nfs", "data.image_size=[64,32]", "genotype=by_lot"])
    item = next(nas_reid.tabulate.items_of(settings("tabulate", ["space=nfs", "count=1"]), recipe))
    assert item.genotype.arguments["image_size"] == [64, 32]
    assert len(item.genotype.body["layer1"]["pixels"]["visible"]) == 16  # rows of the map that leaves layer1


def test_shards_make_the_table_together(table: Path, tmp_path: Path) -> None:
    lines = []
    for shard in ("0/2", "1/2"):
        path = tmp_path / f"{shard[0]}.jsonl"
        outcome = invoke("tabulate", *TABULATE, f"table={path}", f"shard={shard}", f"hydra.run.dir={tmp_path / 'run'}")
        assert outcome.code == 0, outcome.err
        lines += path.read_text().splitlines()
    expected = [_without_times(line) for line in table.read_text().splitlines()]
    assert sorted(map(str, map(_without_times, lines))) == sorted(map(str, expected))


def test_another_recipe_is_refused(table: Path, tmp_path: Path) -> None:
    outcome = invoke("tabulate", *TABULATE[:1], RECIPE.replace("epochs=1", "epochs=2"), f"table={table}",
                     f"hydra.run.dir={tmp_path}")
    assert outcome.code == 1 and "their numbers cannot be compared" in outcome.err


@pytest.mark.parametrize("method", ["random", "evolution", "halving", "sampling", "perturbation"])
def test_a_method_leaves_a_genotype_and_a_front(searched: tuple[Path, Outcome], method: str, tmp_path: Path) -> None:
    cost = {"random": "latency", "evolution": "params"}.get(method, "macs")
    outcome = invoke("select", f"search={searched[0]}", f"method={method}", f"front={cost}", "candidates=4",
                     "population=2", "tournament=2", "rounds=2", "tune_every=4", "tune_steps=1",
                     f"adapt.steps={2 * (method == 'halving')}",
                     f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    scored = [json.loads(line) for line in (tmp_path / "candidates.jsonl").read_text().splitlines()]
    assert len(scored) == {"halving": 2, "perturbation": 1}.get(method, 4)
    best = max(scored, key=lambda candidate: candidate["mAP"])
    chosen = Genotype.load(tmp_path / "genotype.json")
    assert dict(chosen.body) == best["genotype"] and chosen.provenance["method"] == method
    front = sorted((tmp_path / "front").glob(f"{cost}_*.json"))
    assert all(candidate["macs"] > candidate["params"] > 0 for candidate in scored)
    assert all(candidate["latency"] > 0 for candidate in scored) if cost == "latency" else "latency" not in scored[0]
    assert front and dict(Genotype.load(front[-1]).body) == best["genotype"]
    assert (tmp_path / "pictures" / "front.png").exists()
    assert f"median {100 * statistics.median(candidate['mAP'] for candidate in scored):.1f} %" in outcome.out
    line = outcome.out.partition("next: ")[2]
    assert line.startswith("python -m nas_reid.retrain genotype=") and "data.synthetic.train_ids=10" in line
    assert "data=None" not in line


@pytest.mark.parametrize("score", ["supernet", "probabilities"])
def test_a_supernet_is_compared_with_a_table(searched: tuple[Path, Outcome], table: Path, score: str,
                                             tmp_path: Path) -> None:
    outcome = invoke("select", f"search={searched[0]}", "method=table", f"table={table}", f"score={score}",
                     f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["tau"] in (-1.0, 1.0) and result["genotypes"] == 2


def test_several_domains_judge_by_their_mean(searched: tuple[Path, Outcome], tmp_path: Path) -> None:
    scores = {}
    for domains in ("c", "d", "[c,d]"):
        folder = tmp_path / domains.strip("[]")
        outcome = invoke("select", f"search={searched[0]}", "method=random", "candidates=2", "validation_people=4",
                         f"validation_data={domains}", f"hydra.run.dir='{folder}'")
        assert outcome.code == 0, outcome.err
        scores[domains] = [json.loads(line)["mAP"] for line in (folder / "candidates.jsonl").read_text().splitlines()]
    assert scores["[c,d]"] == pytest.approx([(c + d) / 2 for c, d in zip(scores["c"], scores["d"], strict=True)])
    assert Genotype.load(folder / "genotype.json").provenance["validation"]["data"] == "c+d"


def test_another_domain_can_judge(searched: tuple[Path, Outcome], tmp_path: Path) -> None:
    scores = {}
    for people in (2, 4):
        outcome = invoke("select", f"search={searched[0]}", "method=random", "candidates=2", "validation_data={d: {}}",
                         f"validation_people={people}", f"hydra.run.dir={tmp_path / str(people)}")
        assert outcome.code == 0, outcome.err
        assert Genotype.load(tmp_path / str(people) / "genotype.json").provenance["validation"]["data"] == "d"
        result = json.loads((tmp_path / str(people) / "result.json").read_text())
        assert result["selection"]["data"] == "d" and f"judged by: {people} people of d, in " in outcome.out
        lines = (tmp_path / str(people) / "candidates.jsonl").read_text().splitlines()
        scores[people] = [json.loads(line)["mAP"] for line in lines]
    by_all = invoke("select", f"search={searched[0]}", "method=random", "candidates=2", f"hydra.run.dir={tmp_path}")
    held_out = [json.loads(line)["mAP"] for line in (tmp_path / "candidates.jsonl").read_text().splitlines()]
    assert by_all.code == 0 and len({*map(tuple, (scores[2], scores[4], held_out))}) == 3  # other people, other mAP


@pytest.mark.parametrize(("arguments", "message"), [
    (("method=halving", "candidates=3", "rounds=3"), "at least 2^(rounds - 1) = 4"),
    (("method=table",), "needs table="),
    (("method=perturbation", "adapt.steps=1"), "set tune_steps"),
    (("score=probabilities",), "set method=table"),
    (("method=table", "table=nowhere"), "no table 'nowhere'"),
    (("table_on=[b]",), "table_on=['b'] needs table=, whose test sets it names"),
    (("bounds.cost=[a,b]",), "must be {params: [least, most]"), (("bounds.macs=[0,null]",), "must be {params:"),
    (("validation_data=nowhere",), "expected a file of conf/data"),
    (("validation_data=[d,nowhere]",), "validation_data.nowhere: expected a file of conf/data"),
    (("validation_data=d", "validation_people=1"), "must be at least 2"),
    (("validation_data={e: {reader: sysu_mm01, synthetic: {domain: '', layout: sysu_mm01, distractor_ids: 0, "
      "cameras: 6, min_cameras: 6}}}",), "each with a gallery of its own"),
    (("adapt.lr=0",), "adapt.lr=0"), (("adapt.name=lion",), "is unknown"),
    (("method=guess",), "is unknown; known are: random, evolution, halving, sampling, perturbation, table"),
])
def test_what_cannot_be_selected_is_refused(searched: tuple[Path, Outcome], arguments: tuple[str, ...], message: str,
                                            tmp_path: Path) -> None:
    outcome = invoke("select", f"search={searched[0]}", *arguments, f"hydra.run.dir={tmp_path}")
    assert outcome.code == 1 and message in outcome.err, outcome.err
    assert not (tmp_path / "genotype.json").exists()


@pytest.mark.parametrize("change", [
    {"genotype": {"blocks": ["os", "os_in"]}},
    {"path": {"link": [0, 1]}},
    {"path": {"normal": [0] * 5, "reduce": [9] * 5}},  # as many rows, but no such choice
])
def test_a_table_of_another_space_is_refused(searched: tuple[Path, Outcome], table: Path, change: dict,
                                             tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({**json.loads(table.read_text().splitlines()[0]), **change}) + "\n")
    outcome = invoke("select", f"search={searched[0]}", "method=table", f"table={other}",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 1 and "no genotype of the supernet's space auto_reid" in outcome.err, outcome.err


def test_a_table_of_another_version_is_refused(searched: tuple[Path, Outcome], table: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(table.read_text().replace('"format_version":1', '"format_version":9'))
    for command, *arguments in (("tabulate", *TABULATE), ("select", f"search={searched[0]}", "method=table")):
        outcome = invoke(command, *arguments, f"table={other}", f"hydra.run.dir={tmp_path / command}")
        assert outcome.code == 1 and "has format_version 9; this nas_reid reads 1" in outcome.err, outcome.err


def test_a_worker_that_is_killed_costs_its_own_training_alone(table: Path, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    lines, path = table.read_text().splitlines(keepends=True), tmp_path / "table.jsonl"

    def killed(_: object, items: list) -> Iterator[Line]:
        assert len(items) == 3
        yield Line.from_json(lines[0], origin="here")
        raise BrokenProcessPool

    with monkeypatch.context() as patch:
        patch.setattr(nas_reid.tabulate, "mapper", lambda *_, **__: nullcontext(killed))
        outcome = invoke("tabulate", *TABULATE, "workers=2", f"table={path}", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 1 and "a worker was ended from outside" in outcome.err
    assert f"what is in {path} stays: repeat the command" in outcome.err
    assert path.read_text() == lines[0]


def test_a_folder_without_a_search_is_refused(tmp_path: Path) -> None:
    outcome = invoke("select", f"search={tmp_path}", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 1 and "last.pt" in outcome.err


def test_a_supernet_trained_by_paths_is_selected_from(tmp_path: Path) -> None:
    search, select = tmp_path / "search", tmp_path / "select"
    outcome = invoke("search", *SEARCH, "algorithm=one_shot", f"hydra.run.dir={search}")
    assert outcome.code == 0, outcome.err
    records = [json.loads(line) for line in (search / "metrics.jsonl").read_text().splitlines()]
    assert records[0]["search/alpha_entropy"] == records[-1]["search/alpha_entropy"]  # the alphas stay where they are
    *_, module, named = shlex.split(json.loads((search / "result.json").read_text())["next"])
    assert module == "nas_reid.select"
    outcome = invoke("select", named, "method=random", "candidates=3", f"hydra.run.dir={select}")
    assert outcome.code == 0 and Genotype.load(select / "genotype.json").provenance["algorithm"] == "one_shot"


def test_a_genotype_by_lot_is_within_its_bounds_and_the_same_for_a_seed(tmp_path: Path) -> None:
    def draw(name: str, *arguments: str) -> Outcome:
        return invoke("search", *SEARCH, "algorithm=random", f"hydra.run.dir={tmp_path / name}", *arguments)

    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        assert draw(name, f"seed={seed}", "algorithm.bounds.params=[900,1100]").code == 0
    first, again, other = (Genotype.load(tmp_path / name / "genotype.json") for name in ("first", "again", "other"))
    assert first.body == again.body != other.body and first.provenance["kind"] == "random"
    with torch.device("meta"):
        trunk = space_of(first).network(first)
    assert 900 <= count_parameters(trunk) <= 1100


def test_a_genotype_by_lot_has_as_many_choices_of_a_cost_as_asked_for(tmp_path: Path) -> None:
    outcome = invoke("search", "space=norm_sites", "algorithm=random", "algorithm.bounds.cost=[8,8]",
                     f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert list(Genotype.load(tmp_path / "genotype.json").body.values()).count("split") == 8
