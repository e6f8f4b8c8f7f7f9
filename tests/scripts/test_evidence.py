"""The evidence of a space: made by the commands, counted from raw lines, redrawn without them."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nas_reid.registry import load_genotype
from nas_reid.tables import Table
from tests.cli.commands import DATA, SEARCH, invoke

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
RECIPE = (*DATA, "network={channels: 4, layers: [1, 1]}", "epochs=1", "batch.size=8", "optimizer.warmup_epochs=0",
          "evaluation.every=1", "evaluation.flip=false")


@pytest.fixture(scope="module")
def parts():
    """The script and its modules by name, as if it were run."""
    sys.path.insert(0, str(SCRIPTS))
    names = ("evidence", *(f"comparison.{name}"
                           for name in ("plan", "runs", "variants", "findings", "page", "pictures")))
    yield {name.rpartition(".")[2]: importlib.import_module(name) for name in names}
    sys.path.remove(str(SCRIPTS))
    for name in (*names, "comparison"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def made(parts, tmp_path_factory):
    """A tiny comparison, made in this process: its folder, its plan, and the commands that were run."""
    root, lines = tmp_path_factory.mktemp("evidence"), []
    quoted = {name: json.dumps(list(words)) for name, words in (("search", SEARCH), ("recipe", RECIPE))}
    plans = root / "plans.toml"
    plans.write_text(f'[auto_reid]\nsearch = {quoted["search"]}\nrecipe = {quoted["recipe"]}\n'
                     'final = []\ntable = "random"\nsearches = 2\nrandom = 3\nequal = 1\n'
                     'tolerance = 0.2\nepochs = [1]\ncurves = 1\nhand_made = []\nvariant_seeds = 1\n'
                     '[auto_reid.scorers.paths]\nsearch = ["algorithm=one_shot"]\nselect = ["adapt.steps=1"]\n'
                     '[auto_reid.variants.paths]\nsearch = ["algorithm=one_shot"]\n'
                     'select = ["method=random", "candidates=2"]\n')

    def run(command: str, *overrides: str) -> None:
        lines.append((command, *overrides))
        outcome = invoke(command, *overrides)
        assert outcome.code == 0, outcome.err

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts["runs"], "run_command", run)
        arguments = ["auto_reid", "--plans", str(plans), "--output", str(root), "--workers", "1"]
        assert parts["evidence"].main(arguments) == 0
        assert parts["evidence"].main([*arguments, "--variants"]) == 0
    return root, plans, lines


def test_a_comparison_is_made_of_commands_and_kept(made) -> None:
    root, _, lines = made
    assert [command for command, *_ in lines] == [
        "search", "search", "tabulate", "tabulate", "tabulate", "search", "select", "search", "select",
        "search", "select", "tabulate"]
    assert sum("adapt.steps=1" in line for line in lines) == 1
    folder = root / "evidence" / "auto_reid"
    assert sorted(path.name for path in (folder / "genotypes").iterdir()) == [
        "search0.json", "search0_epoch001.json", "search1.json", "variants"]
    assert len(Table(folder / "random.jsonl")) == 3 and len(Table(folder / "equal.jsonl")) == 1
    page = (root / "evidence.md").read_text()
    assert "| supernet: paths | " in page and "| parameters | " in page
    assert page.count("<!-- auto_reid -->") == 1 and "| searched | 2 |" in page and "reached" in page
    assert "| paths | `algorithm=one_shot select method=random candidates=2` | 1 | " in page
    for name in ("random", "supernet", "anytime", "front"):
        assert f"![{name}](evidence/auto_reid/{name}.png)" in page and (folder / f"{name}.png").exists()


def test_a_page_is_redrawn_without_a_training_and_other_sections_stay(made, parts) -> None:
    root, plans, lines = made
    page, count = root / "evidence.md", len(lines)
    page.write_text(page.read_text().replace("| searched | 2 |", "| changed | 2 |") + "\nA word of ours.\n")
    assert parts["evidence"].main(["auto_reid", "--plans", str(plans), "--output", str(root), "--redraw"]) == 0
    assert len(lines) == count
    assert "| searched | 2 |" in page.read_text() and page.read_text().endswith("\nA word of ours.\n")


def test_a_search_can_end_with_a_selection(parts, tmp_path: Path) -> None:
    lines = []

    def run(command: str, *overrides: str) -> None:
        lines.append((command, *overrides))
        run_folder = Path(next(word for word in overrides if word.startswith("hydra.run.dir=")).partition("=")[2])
        run_folder.mkdir(parents=True)
        (run_folder / "genotype.json").write_text(command)

    plan = parts["plan"].Plan("toy", ("epochs=1",), (), ("final=1",), "toy", select=("method=evolution",), searches=1,
                               epochs=(3,), start=("a=1",), pretrained=True, lots=("space=toy", "space.b=1"))
    assert parts["runs"]._space(plan) == ["space=toy", "space.b=1"]
    for folder, name in (("checkpoints", "last.pt"), ("", "genotype.json")):
        (tmp_path / "work" / "start" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / "start" / folder / name).touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts["runs"], "run_command", run)
        patch.setattr(parts["runs"], "train", lambda *_, **__: None)
        patch.setattr(parts["runs"], "_score", lambda *_: None)
        parts["runs"].make(replace(plan, equal=0), tmp_path, tmp_path / "work", workers=1)
    searched, selected, shorter, chosen = lines
    assert searched[:3] == ("search", "epochs=1", "final=1") and "seed=0" in searched
    assert selected[:3] == ("select", f"search={tmp_path / 'work' / 'search0'}", "method=evolution")
    assert searched[3] == shorter[3] == f"pretrained={tmp_path}/work/start/checkpoints/last.pt"
    assert shorter[4] == "epochs=3" and chosen[2] == "method=evolution"
    assert chosen[1] == f"search={tmp_path / 'work' / 'search0_epoch003'}"
    assert [path.read_text() for path in plan.genotypes(tmp_path)] == ["select", "select"]


def test_all_trainings_can_start_from_one_supernet(parts, tmp_path: Path) -> None:
    """It is trained once for the final and once for the tuned people, and again where its search was stopped."""
    lines = []

    def run(command: str, *overrides: str) -> None:
        lines.append((command, *overrides))
        if command == "search":
            folder = Path(overrides[-1].partition("=")[2])
            (folder / "checkpoints").mkdir(parents=True)
            (folder / "checkpoints" / "last.pt").touch()

    plan = parts["plan"].Plan("toy", (), ("epochs=1",), ("final=1",), "toy", start=("a=1",), tuned=("tuned=1",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts["runs"], "run_command", run)
        for final in (True, True, False):
            parts["runs"].train(plan, tmp_path / "table.jsonl", tmp_path, 1, (), final=final)
            (tmp_path / "start" / "genotype.json").touch()
    folders = {name: f"hydra.run.dir={tmp_path / name}" for name in ("start", "start_tuned")}
    assert [line for line in lines if line[0] == "search"] == [
        ("search", "a=1", "final=1", folders["start"]), ("search", "a=1", "tuned=1", folders["start_tuned"])]
    recipes = [line[1] for line in lines if line[0] == "tabulate"]
    assert recipes[0] == recipes[1] == f'recipe=["epochs=1","final=1","weights={tmp_path}/start/checkpoints/last.pt"]'
    assert recipes[2] == f'recipe=["epochs=1","weights={tmp_path}/start_tuned/checkpoints/last.pt"]'
    (tmp_path / "start" / "genotype.json").unlink()
    assert not parts["runs"].is_whole(tmp_path / "start")


def test_searches_can_start_from_the_weights_that_the_trainings_start_from(parts, tmp_path: Path) -> None:
    plan = parts["plan"].Plan("toy", (), (), (), "toy", start=("a=1",), pretrained=True)
    for name in ("start", "start_tuned"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "checkpoints" / "last.pt").touch()
        (tmp_path / name / "genotype.json").touch()
    words = [parts["runs"].from_start(plan, tmp_path, final=final) for final in (True, False)]
    assert words == [[f"pretrained={tmp_path}/{name}/checkpoints/last.pt"] for name in ("start", "start_tuned")]
    assert parts["runs"].from_start(parts["plan"].Plan("toy", (), (), (), "toy", start=("a=1",)), tmp_path) == []


def test_equal_are_those_with_as_many_choices_of_a_cost(parts, tmp_path: Path) -> None:
    plan = parts["plan"].Plan("norm_sites", (), ("experiment=table_norm_sites",), (), "norm_sites", searches=2,
                              equal_by="cost", tolerance=0.1)
    for seed, splits in ((0, 10), (1, 14)):
        body = dict(load_genotype("norm_sites/share_resnet18").body)
        body |= dict.fromkeys(list(body)[:splits], "split")
        replace(load_genotype("norm_sites/share_resnet18"), body=body).save(plan.genotype(tmp_path, seed))
    assert parts["runs"].equal_bounds(plan, tmp_path) == (10, 14)  # 12 in the mean, and a tenth


def test_fractions_of_a_cost_are_not_rounded(parts, tmp_path: Path) -> None:
    plan = parts["plan"].Plan("osnet_ain", (), ("experiment=table_osnet_ain",), (), "osnet_ain", searches=1,
                              equal_by="cost", tolerance=0.2)
    ibn = load_genotype("osnet_ain/ibn")
    replace(ibn, body=ibn.body | {"conv2_1": "os", "conv4_1": "os_in"}).save(plan.genotype(tmp_path, 0))
    assert parts["runs"].equal_bounds(plan, tmp_path) == pytest.approx((0.9, 1.35))  # 1.125, and a fifth


def trained(parts, mAP: float, *, validation: float = 0.0, seconds: float = 30.0, name: str = "x",
            error: float = float("nan")):
    return parts["findings"].Trained(name, mAP, validation, 1000, 2000, seconds, error)


def findings_of(parts, *, searched, random, equal=()):
    plan = parts["plan"].Plan("toy", (), (), (), "toy")
    scorer = parts["findings"].Scorer("search", 0.6, 0.2, 0.8, 0.5, [(0.1, 0.2)])
    searches = [{"minutes": 2.0, "processor_minutes": 1.0, "hardware": "h", "versions": {"torch": "t"}}]
    return parts["findings"].Findings(plan, searched, random, equal, (), {}, [scorer],
                                         [replace(scorer, name="MACs")], None, searches, {}, ())


def test_the_numbers_of_a_comparison_by_hand(parts) -> None:
    found = findings_of(parts, searched=[trained(parts, 0.5), trained(parts, 0.7)],
                        random=[trained(parts, value, validation=1 - value) for value in (0.2, 0.4, 0.6, 0.8)],
                        equal=[trained(parts, 0.3), trained(parts, 0.4), trained(parts, 0.5)])
    assert found.percentiles == [0.5, 0.75] and found.percentile_of_mean == 0.625  # 0.6 equals one of four
    # sd 0.1414 of two and 0.1 of three: the error of the difference is sqrt(0.02 / 2 + 0.01 / 3)
    assert found.above_equal == pytest.approx(0.2 / (0.01 + 0.01 / 3) ** 0.5)
    # Its own two trainings, 0.44 and 0.48, leave an error of 0.02; the searches one of 0.1.
    found = replace(found, hand_made=[trained(parts, 0.46, name="toy/a", error=0.02)])
    assert found.above("toy/a") == pytest.approx(0.14 / (0.1**2 + 0.02**2) ** 0.5)
    assert found.affordable == 2  # a minute, at 30 s a training
    # The best validation has the least mAP here. Of two draws the best is 0.2 with probability 1 - (3/4)^2, and so on.
    assert found.best_affordable == pytest.approx((0.2 * 7 + 0.4 * 5 + 0.6 * 3 + 0.8) / 16)


def test_what_is_not_reached_says_so(parts) -> None:
    found = findings_of(parts, searched=[trained(parts, 0.5)] * 2, random=[trained(parts, 0.6), trained(parts, 0.4)])
    found = replace(found, plan=replace(found.plan, above={"toy/a": 1.0}),
                    searched=[trained(parts, 0.49), trained(parts, 0.51)],
                    hand_made=[trained(parts, 0.495, name="toy/a", error=0.0)])
    lines = list(parts["page"].section_lines(found, "command"))
    assert "| 1 standard errors above `toy/a` | 0.5 | **not reached** |" in lines
    assert "| supernet: search | 0.60 | 0.20 to 0.80 | 50% |" in lines
    assert "| MACs | 0.60 | 0.20 to 0.80 | 50% |" in lines
    assert "| mean searched at percentile 85 of random | 50 | **not reached** |" in lines
    assert "| τ of the best supernet ≥ 0.5, interval above 0.3 | 0.60, from 0.20 | **not reached** |" in lines


@pytest.mark.parametrize(("text", "message"), [
    ("[other]\n", "has no plan of 'toy'; it has: other"), ("[toy]\nserches = 3\n", "unknown keys serches; known are: "),
    ("[toy]\nsearch = []\nrecipe = []\nfinal = []\ntable = 'toy'\nabove = {'toy/a' = 1}\n",
     "the plan of toy has above=toy/a, which hand_made does not list"),
    ("[toy]\nsearch = []\nrecipe = []\nfinal = []\ntable = 'toy'\nhand_made = ['toy/a']\nabove = {'toy/a' = 1}\n",
     "the plan of toy has above= and repeats=1"),
    ("[toy]\nsearch = []\nrecipe = []\nfinal = []\ntable = 'toy'\npretrained = true\n",
     "has pretrained=true and no start="),
    ("[toy]\n", "lacks a key"), ("[toy\n", "cannot read the plans"),
    ("[toy]\nsearch = []\nrecipe = []\nfinal = []\ntable = 'toy'\n[toy.variants.a]\non = 'b'\n",
     "a of toy stands on 'b'; it needs select= and the name of another one: a"),
])
def test_a_wrong_plan_is_refused(parts, capsys, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plans.toml").write_text(text)
    assert parts["evidence"].main(["toy", "--plans", str(tmp_path / "plans.toml"), "--output", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


def test_every_plan_of_ours_can_be_read(parts) -> None:
    for space in ("auto_reid", "osnet_ain", "norm_sites", "nfs"):
        assert parts["plan"].read_plan(space).searches == 8
    assert parts["plan"].read_plan("auto_reid", quick=True).table == "random"
    with pytest.raises(Exception, match=r"no part \[nfs.quick\]; such a part is in: auto_reid"):
        parts["plan"].read_plan("nfs", quick=True)
