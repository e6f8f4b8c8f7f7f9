"""What compare says: groups by configuration, sample deviation, and never a choice by test metrics."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from hydra import compose
from omegaconf import DictConfig, OmegaConf

from nas_reid import compare
from nas_reid.config.comparison import CompareConfig
from nas_reid.errors import ConfigError
from nas_reid.run.composition import composition


def add(root: Path, name: str, *, seed: int, mAP: float, kind: str = "search", test: float | None = None,
        split: str = "validation", targets: dict[str, float] | None = None,
        trials: dict[str, float] | None = None, **config) -> Path:
    folder = root / name
    (folder / ".hydra").mkdir(parents=True)
    (folder / "genotype.json").write_text("{}")
    result = {"kind": kind, "seed": seed, "selection": {"split": split, "mAP": mAP, "rank1": 1 - mAP},
              "metrics": {} if test is None else {"mAP": test},
              "targets": {name: {"mAP": value} for name, value in (targets or {}).items()},
              "trials": {name: {"mAP": value} for name, value in (trials or {}).items()},
              "genotype": "elsewhere/genotype.json",
              "config": {"seed": seed, "device": f"cuda:{seed}", "space": {"name": "auto_reid"}, **config}}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def said(*folders: Path, metric: str = "mAP", json: bool = False) -> str:
    return compare.run(CompareConfig([str(folder) for folder in folders], metric, json), folders[0])


def summary(*folders: Path, **options) -> dict:
    return json.loads(said(*folders, json=True, **options))


def test_seeds_form_one_group_with_the_sample_deviation(tmp_path):
    values = [0.50, 0.56, 0.62]
    for seed, value in enumerate(values):
        add(tmp_path, f"{seed}-seed{seed}", seed=seed, mAP=value)
    (group,) = summary(tmp_path)["groups"]
    assert group["group"] == "search" and group["seeds"] == [0, 1, 2]
    assert group["validation"] == {"n": 3, "mean": pytest.approx(np.mean(values)),
                                   "std": pytest.approx(np.std(values, ddof=1))}
    assert group["test"] == {"n": 0, "mean": None, "std": None}


def test_groups_are_named_by_what_differs(tmp_path):
    for seed in range(2):
        add(tmp_path, f"a{seed}", seed=seed, mAP=0.5, weights={"lr": 0.1}, order=["x"])
        add(tmp_path, f"b{seed}", seed=seed, mAP=0.6, weights={"lr": 0.2}, order=["x"])
    groups = {group["group"]: group for group in summary(tmp_path)["groups"]}
    assert set(groups) == {"search weights.lr=0.1", "search weights.lr=0.2"}
    assert groups["search weights.lr=0.2"]["validation"]["std"] == 0


def test_unlike_runs_are_told_apart_in_one_line_each(tmp_path):
    unlike = {f"key{number:02}": {"of": number} for number in range(30)}
    add(tmp_path, "a", seed=0, mAP=0.5, epochs=3, space={"name": "x" * 90}, **unlike)
    add(tmp_path, "b", seed=0, mAP=0.6, epochs=4, space={"name": "y" * 90})
    add(tmp_path, "c", seed=0, mAP=0.7, epochs=5, space={"name": "y" * 90})
    found = summary(tmp_path)["groups"]
    assert [group["short"] for group in found] == ["search epochs=3 key00.of=0 key01.of=1 …", "search epochs=4 …",
                                                   "search epochs=5 …"]
    assert "key29.of=29" in found[0]["group"] and max(map(len, said(tmp_path).split("\n\n")[0].splitlines())) < 140
    for number in range(2):
        add(tmp_path, f"d{number}", seed=1, mAP=0.7, kind="retrain", genotype=f"{number}{'x' * 90}")
    assert [group["short"] for group in summary(tmp_path)["groups"][3:]] == [
        f"retrain genotype={number}{'x' * 38}…" for number in range(2)]


def test_splits_and_directions_are_averaged(tmp_path):
    for split in range(3):
        for direction in ("a_to_b", "b_to_a"):
            for reader in ("viper", "cuhk01"):
                add(tmp_path, f"{reader}-{split}-{direction}", seed=0, mAP=0.5, test=split / 10, data={
                    "reader": reader, "options": {"split": split, "fold": split, "split_seed": split,
                                                  "direction": direction}})
    groups = summary(tmp_path)["groups"]
    assert [group["group"] for group in groups] == ["search data.reader=cuhk01", "search data.reader=viper"]
    assert all(group["test"]["n"] == 6 and group["test"]["mean"] == pytest.approx(0.1) for group in groups)


def test_targets_have_columns_and_never_choose(tmp_path):
    good = add(tmp_path, "0-seed0", seed=0, mAP=0.6, kind="retrain", targets={"b": 0.2, "c": 0.1})
    add(tmp_path, "1-seed1", seed=1, mAP=0.5, kind="retrain", targets={"b": 0.4})
    add(tmp_path, "2-seed0", seed=0, mAP=0.5, kind="retrain", style=0)
    found = summary(tmp_path)
    groups = {group["group"]: group["targets"] for group in found["groups"]}
    assert groups["retrain"]["b"] == {"n": 2, "mean": pytest.approx(0.3), "std": pytest.approx(0.02**0.5)}
    assert groups["retrain"]["c"] == {"n": 1, "mean": 0.1, "std": None}
    assert groups["retrain style=0"]["b"] == {"n": 0, "mean": None, "std": None}
    assert found["best"]["folder"] == str(good)
    head, _, first, *_ = said(tmp_path).splitlines()
    assert head.split()[-4:] == ["b", "mAP", "c", "mAP"] and first.endswith("30.00% ± 14.14%  10.00%")


def test_the_best_is_chosen_by_validation_even_when_the_test_disagrees(tmp_path):
    best = add(tmp_path, "0-seed0", seed=0, mAP=0.6, kind="retrain", test=0.1)
    add(tmp_path, "1-seed1", seed=1, mAP=0.5, kind="retrain", test=0.9)
    add(tmp_path, "2-seed2", seed=2, mAP=0.95, kind="retrain", test=0.99, split="test")
    found = summary(tmp_path)["best"]
    assert found["folder"] == str(best) and found["validation"] == 0.6
    assert found["genotype"] == str(best / "genotype.json")
    assert found["command"] == f"python -m nas_reid.evaluate checkpoint={best / 'checkpoints' / 'best.pt'}"


def test_another_metric(tmp_path):
    add(tmp_path, "0", seed=0, mAP=0.9)
    low = add(tmp_path, "1", seed=1, mAP=0.2)  # rank1 is 1 - mAP here
    assert summary(tmp_path, metric="rank1")["best"]["folder"] == str(low)


def test_a_metric_that_no_run_has_is_refused(tmp_path):
    add(tmp_path, "0", seed=0, mAP=0.9)
    with pytest.raises(ConfigError, match=r"metric=map is in no result; choose one of mAP, rank1$"):
        summary(tmp_path, metric="map")


def test_one_run_by_a_relative_path_and_a_folder_that_holds_none(tmp_path, monkeypatch, caplog):
    """One folder has no common path with others; named twice it is one run."""
    add(tmp_path, "mine", seed=0, mAP=0.9)
    (tmp_path / "exported").mkdir()
    monkeypatch.chdir(tmp_path)
    said(Path("mine"), Path("mine"))
    assert "#1 mine" in (tmp_path / "mine" / "compare.html").read_text() and not caplog.records
    said(Path("mine"), Path("exported"))
    assert "exported holds no run" in caplog.text


def test_unfinished_and_failed_jobs_are_listed(tmp_path):
    add(tmp_path, "0", seed=0, mAP=0.5)
    for name in ("1", "2", "3"):
        (tmp_path / name / ".hydra").mkdir(parents=True)
    (tmp_path / "2" / "search.log").write_text("[t][a][INFO] - x\n[t][a][ERROR] - loss is nan\nTraceback\n")
    (tmp_path / "3" / "result.json").write_text("{")
    found = summary(tmp_path)
    assert found["unfinished"] == [str(tmp_path / "1")]
    assert found["failed"][str(tmp_path / "2")] == "loss is nan"
    assert "unreadable" in found["failed"][str(tmp_path / "3")]
    assert found["groups"][0]["validation"]["n"] == 1


def test_the_table_is_for_people(tmp_path):
    folder = add(tmp_path / "my sweep", "0-seed0", seed=0, mAP=0.5)
    add(tmp_path / "my sweep", "1-seed1", seed=1, mAP=0.4)
    (tmp_path / "my sweep" / "2-seed2" / ".hydra").mkdir(parents=True)
    out = said(tmp_path / "my sweep")
    assert "45.00% ± 7.07%" in out and "validation mAP: 50.00%, seed 0" in out
    assert f"python -m nas_reid.retrain {shlex.quote(f'genotype={folder}/genotype.json')}" in out
    assert f"unfinished: {tmp_path / 'my sweep' / '2-seed2'}" in out


def test_no_validation_metric_means_no_best(tmp_path):
    add(tmp_path, "0", seed=0, mAP=0.5, split="none")
    assert "none can be called the best" in said(tmp_path)


@pytest.mark.parametrize(("make", "message"), [(False, "is not a folder"), (True, "holds no run")])
def test_nothing_to_summarize(tmp_path, make, message):
    if make:
        (tmp_path / "sweep").mkdir()
    with pytest.raises(ConfigError, match=message):
        said(tmp_path / "sweep")


def test_settings_of_a_protocol_have_columns_of_their_own(tmp_path):
    for split in range(3):
        add(tmp_path, f"s{split}", seed=0, kind="retrain", mAP=0.9, test=0.1 * split,
            trials={"visible to thermal": 0.1 * split, "thermal to visible": 0.2 * split},
            data={"options": {"split": split}})
    (group,) = summary(tmp_path)["groups"]
    assert group["trials"]["thermal to visible"] == {"n": 3, "mean": pytest.approx(0.2), "std": pytest.approx(0.2)}
    head, _, row = said(tmp_path).splitlines()[:3]
    assert head.split("  ")[-1].strip() == "thermal to visible mAP" and row.endswith("20.00% ± 20.00%")


def test_retrainings_of_several_seeds_of_a_search_are_one_group(tmp_path):
    for algorithm in ("darts", "gdas"):
        for seed in range(2):
            found = add(tmp_path / "searches", f"{algorithm}{seed}", seed=seed, mAP=0.9, algorithm={"name": algorithm})
            add(tmp_path / "sweep", f"{algorithm}{seed}", seed=0, mAP=0.5, kind="retrain",
                genotype=f"{found}/genotype.json")
    add(tmp_path / "sweep", "published", seed=0, mAP=0.5, kind="retrain", genotype="auto_reid/baseline")
    groups = {group["group"]: len(group["seeds"]) for group in summary(tmp_path / "sweep")["groups"]}
    assert groups == {"retrain genotype=search(algorithm.name=darts)": 2, "retrain genotype=auto_reid/baseline": 1,
                      "retrain genotype=search(algorithm.name=gdas)": 2}


def test_supernets_and_retrained_networks_are_ranked_apart(tmp_path):
    search = add(tmp_path, "search", seed=0, mAP=0.9)
    retrained = add(tmp_path, "retrain", seed=1, mAP=0.5, kind="retrain")
    found = summary(tmp_path)
    assert {kind: best["folder"] for kind, best in found["best_of_kind"].items()} == {"retrain": str(retrained),
                                                                                     "search": str(search)}
    assert found["best"] == found["best_of_kind"]["retrain"]
    out = said(tmp_path)
    assert "best retrain by validation mAP: 50.00%, seed 1" in out and "best search by validation mAP: 90.00%" in out


def test_the_next_line_names_the_data_and_no_genotype_that_is_not_there(tmp_path):
    data = OmegaConf.to_container(composed("search", "data=folder", "data.root=my images"), resolve=True)
    folder = add(tmp_path, "0", seed=0, mAP=0.5, kind="retrain", data=data)
    (folder / "genotype.json").unlink()
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | {"genotype": None}))
    out = said(tmp_path)
    assert "None" not in out
    line = shlex.split(out.splitlines()[-1])
    assert line[3:] == [f"checkpoint={folder}/checkpoints/best.pt", "data=folder", "data.root=my images"]


def composed(command: str, *overrides: str) -> DictConfig:
    """The data of a command's configuration."""
    with composition():
        return compose(command, list(overrides)).data
