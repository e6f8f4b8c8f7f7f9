"""Commands in two processes: what they write, who speaks, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

from nas_reid.errors import ConfigError
from nas_reid.parallel.processes import start
from tests.cli.commands import Outcome, invoke
from tests.parallel.commands import lines
from tests.parallel.ranks import environment


def outcomes(folder: Path, name: str) -> list[Outcome]:
    return [Outcome(*json.loads((folder / f"{name}.{rank}.json").read_text())) for rank in (0, 1)]


@pytest.mark.parametrize("name", ["retrain", "evaluate", "extract", "pretrain"])
def test_a_command_ends_well_and_the_first_process_alone_speaks(name: str, folder: Path) -> None:
    first, second = outcomes(folder, name)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.out and not second.out and not second.err
    assert not list((folder / name).glob(".together*"))


def test_a_finished_run_is_found_by_all(folder: Path) -> None:
    first, second = outcomes(folder, "again")
    assert (first.code, second.code) == (0, 0) and "is complete already" in first.out
    records = [json.loads(line) for line in (folder / "retrain" / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1]


def test_evaluating_is_exactly_what_one_process_does(folder: Path, tmp_path: Path) -> None:
    command, *arguments = lines(folder)["evaluate"]
    assert invoke(command, *arguments, f"hydra.run.dir={tmp_path}").code == 0
    one, two = (json.loads((place / "result.json").read_text()) for place in (tmp_path, folder / "evaluate"))
    for result in (one, two):
        result.pop("versions")
        assert result.pop("seconds") > 0  # of the clock
    assert one == two
    assert (tmp_path / "queries.csv").read_bytes() == (folder / "evaluate" / "queries.csv").read_bytes()


def test_features_come_in_order(folder: Path, tmp_path: Path) -> None:
    command, *arguments = lines(folder)["extract"]
    assert invoke(command, *arguments, f"hydra.run.dir={tmp_path}").code == 0
    with np.load(tmp_path / "features.npz") as one, np.load(folder / "extract" / "features.npz") as two:
        assert np.array_equal(one["features"], two["features"]) and one["paths"].tolist() == two["paths"].tolist()
    assert json.loads(outcomes(folder, "extract")[0].out.splitlines()[-1])["images"] == 10


def test_help_comes_from_one(folder: Path) -> None:
    first, second = outcomes(folder, "help")
    assert (first.code, second.code) == (0, 0) and "space" in first.out and not second.out


@pytest.mark.parametrize(("name", "message"), [
    ("undivided", "batch.size=12 is that of all 2 processes, which cannot share 3 identities equally"),
    ("different", "process 1 has another configuration than process 0: seed: 0 -> 1"),
    ("compiled", "does not go with norms of the whole batch in 2 processes"),
    ("sweep", "a sweep (-m) does not go with 2 processes"),
    ("other_code", "process 1 runs other code than process 0"),
    ("blind", "process 1 of 2 does not find"),
    ("no_gpu", " on its machine and needs the GPU of that number; there are 0")])
def test_a_mistake_is_told_once(name: str, message: str, folder: Path) -> None:
    both = outcomes(folder, name)
    assert all(outcome.code for outcome in both)
    assert "".join(outcome.err for outcome in both).count(message) == 1, both
    assert "Traceback" not in both[0].err + both[1].err


@pytest.mark.parametrize(("missing", "message"), [
    ({"MASTER_PORT": ""}, "WORLD_SIZE=2 without MASTER_PORT: these are set by torchrun"),
    ({"RANK": "2"}, "RANK=2 with WORLD_SIZE=2: expected a number from 0 to 1"),
    ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two is no number of processes")])
def test_half_an_environment_is_refused_before_anything_waits(missing: dict[str, str], message: str, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**environment(0, 2, 1), **missing}.items():
        monkeypatch.setenv(name, value)
    outcome = invoke("search", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 1 and message in outcome.err and not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="torchrun"):
        start()
