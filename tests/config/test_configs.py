"""Every YAML in conf/ composes and converts. What is refused: ``test_configs_refused``."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

import nas_reid
from nas_reid.config.groups import DataConfig
from nas_reid.config.loading import load, to_plain
from nas_reid.config.schemas import SCHEMAS
from nas_reid.data.augment import build_augment
from nas_reid.data.source import open_source, synthetic_spec
from nas_reid.errors import ConfigError
from nas_reid.losses.objective import build_losses
from nas_reid.nas.paths import LOTS
from nas_reid.nas.regularisers import REGULARISERS, build_regulariser
from nas_reid.nas.relaxation import get_relaxation
from nas_reid.registry import create_space
from nas_reid.run.composition import composition
from nas_reid.run.door import config_dir
from tests.composing import MANDATORY, settings

CONF = Path(__file__).resolve().parents[2] / "conf"
DRAWN = ("synthetic", "synthetic_domains", "synthetic_ir")


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def header(experiment: str) -> str:
    """The comment that opens an experiment's file."""
    lines = (CONF / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    return "\n".join(line for line in lines[1:next(i for i, line in enumerate(lines) if not line.startswith("#"))])


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with composition():
        yield


def test_second_order_is_exact_unless_the_published_form_is_named() -> None:
    assert settings("search", "algorithm=darts_second_order").algorithm.hessian == "exact"
    published = settings("search", "algorithm=darts_second_order", "algorithm.hessian=finite_difference")
    assert published.algorithm.hessian == "finite_difference"


def test_every_file_has_a_test_here() -> None:
    commands = [f"{name}.yaml" for name in SCHEMAS]
    groups = {"space", "data", "augment", "algorithm", "experiment", "wandb", "hydra/help", "hydra/callbacks"}
    found = sorted(path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")
                   if path.relative_to(CONF).parts[0] != "local")  # a user's own, git-ignored
    expected = commands + [f"{group}/{option}.yaml" for group in groups for option in options(group)]
    assert found == sorted(expected)
    assert len(found) >= 25 and options("hydra/help") == sorted(SCHEMAS) and options("wandb") == ["default"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_defaults_are_complete(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAS_REID_DATA", raising=False)
    result = settings(name)
    assert type(result) is SCHEMAS[name]
    assert not OmegaConf.missing_keys(OmegaConf.structured(result))


@pytest.mark.parametrize("name", ["search", "retrain", "evaluate"])
@pytest.mark.parametrize("data", options("data"))
def test_data(name: str, data: str) -> None:
    given = [] if data in DRAWN else ["data.table=some.csv"] if data == "table" else ["data.root=somewhere"]
    result = settings(name, f"data={data}", *given).data
    assert result.name == data and len(result.image_size) == 2
    assert (result.synthetic is None) == (data not in DRAWN)


@pytest.mark.parametrize("name", ["search", "retrain"])
@pytest.mark.parametrize("augment", options("augment"))
def test_augment(name: str, augment: str) -> None:
    steps = settings(name, f"augment={augment}").augment
    assert len(build_augment(steps).steps) == sum(arguments is not None for arguments in steps.values())


@pytest.mark.parametrize("algorithm", options("algorithm"))
@pytest.mark.parametrize("space", options("space"))
def test_algorithm_and_space(algorithm: str, space: str) -> None:
    result = settings("search", f"algorithm={algorithm}", f"space={space}")
    built = create_space(space, {key: value for key, value in result.space.items() if key != "name"})
    assert result.algorithm.name == algorithm and result.space["name"] == built.name == space
    if result.algorithm.relaxation not in LOTS:  # which is built from the space alone
        get_relaxation(result.algorithm.relaxation)
    assert set(result.algorithm.regularisers) == set(REGULARISERS)
    if built.decisions():  # else the space is not to be searched
        build_regulariser(result.algorithm.regularisers, built.decisions())


@pytest.mark.parametrize("experiment", options("experiment"))
def test_experiment(experiment: str) -> None:
    text = header(experiment)
    name, = set(re.findall(r"python -m nas_reid\.(\w+)", text))
    assert re.search(rf"python -m nas_reid\.{name} (.* )?experiment={experiment}\b", text)
    assert "Hardware" in text and "Expected" in text
    needs_root = ["data.root=somewhere"] if "data.root=" in text else []
    result = settings(name, f"experiment={experiment}", *needs_root)
    build_augment(result.augment)
    assert result.epochs >= 1 and not OmegaConf.missing_keys(OmegaConf.structured(result))


@pytest.mark.parametrize(("epochs", "expected"), [(1, 0), (2, 1), (3, 2), (20, 2)])
@pytest.mark.parametrize("name", ["retrain", "pretrain"])
def test_the_warm_up_of_the_defaults_is_shorter_than_the_training(name: str, epochs: int, expected: int) -> None:
    assert settings(name, f"epochs={epochs}").optimizer.warmup_epochs == expected


def test_an_experiment_changes_something_and_the_command_line_wins() -> None:
    assert settings("search", "experiment=smoke").epochs != settings("search").epochs
    assert settings("search", "experiment=smoke", "epochs=7").epochs == 7


@pytest.mark.parametrize("data", ["market1501", "folder"])
def test_real_data_need_a_root(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAS_REID_DATA", raising=False)
    with pytest.raises(ConfigError, match=r"^data\.root=None must name the folder of the data set.*NAS_REID_DATA"):
        settings("search", f"data={data}")
    monkeypatch.setenv("NAS_REID_DATA", "/images")
    assert settings("search", f"data={data}").data.root == "/images"


@pytest.mark.parametrize("name", ["retrain", "describe", "evaluate"])
def test_a_missing_mandatory_value_is_named(name: str) -> None:
    key = MANDATORY[name][0].split("=")[0]
    with pytest.raises(ConfigError, match=f"^{key} must be given: {key}=VALUE; --help"):
        load(compose(name), SCHEMAS[name])


def test_a_comparison_of_nothing_asks_for_folders_as_they_are_typed() -> None:
    with pytest.raises(ConfigError, match=r"^runs=\[\] must be a folder .* python -m nas_reid\.compare FOLDER FOLDER$"):
        load(compose("compare"), SCHEMAS["compare"])


@pytest.mark.parametrize(("name", "override"), [
    ("search", "bach.size=16"), ("search", "batch.sizes=16"), ("search", "algorithm.temprature.start=1"),
    ("retrain", "optimizer.learning_rate=1"), ("evaluate", "flip=true"), ("describe", "epochs=1"),
    ("search", "data.workerz=1"),
])
def test_a_key_that_does_not_exist_is_refused(name: str, override: str) -> None:
    with pytest.raises(ConfigCompositionException, match=f"Could not override '{override.split('=')[0]}'"):
        settings(name, override)
    with pytest.raises(ConfigError, match="full_key: "):  # nor does a plus smuggle it in
        settings(name, f"+{override}")


@pytest.mark.parametrize("name", ["retrain", "describe"])
def test_network_takes_any_argument_of_a_space(name: str) -> None:
    assert settings(name, "network.channels=64", "network.layers=[1,2]").network == {"channels": 64, "layers": [1, 2]}


def test_losses_are_added_and_left_out_without_a_plus() -> None:
    retrain = settings("retrain", "objective.triplet.weight=0", "objective.cross_entropy=null", "batch.instances=1",
                       "objective.cross_entropy.weight=2")
    assert {name: weight for name, (weight, _) in build_losses(retrain.objective).items()} == {"cross_entropy": 2}
    search = settings("search", "split.by=identity", "~objective.alphas.cross_entropy",
                      "objective.weights.triplet=null")
    assert list(build_losses(search.objective.alphas)) == ["triplet"]
    assert list(build_losses(search.objective.weights)) == ["cross_entropy"]


@pytest.mark.parametrize("name", ["search", "retrain", "evaluate"])
def test_synthetic_factors_need_no_plus(name: str) -> None:
    synthetic = settings(name, "data.synthetic.occluders=0.5", "data.synthetic.views=2").data.synthetic
    spec = synthetic_spec(synthetic)
    assert (spec.occluders, spec.views, spec.size) == (0.5, 2, "small")


def test_synthetic_factors_do_not_turn_real_data_into_drawn_ones() -> None:
    with pytest.raises(ConfigCompositionException, match="synthetic"):
        settings("search", "data=market1501", "data.root=somewhere", "data.synthetic.size=tiny")


@pytest.mark.parametrize(("factor", "value", "message"), [
    ("layout", "sysu_mm01", "data.reader=market1501 does not read data.synthetic.layout=sysu_mm01"),
    ("layout", "pets", r"data.synthetic: unknown layout 'pets'; known: market1501, sysu_mm01, regdb"),
    ("ocluders", 0.5, "data.synthetic has no factor ocluders; it has: size, factors, seed.*occluders"),
    ("occluders", 2, r"data.synthetic: occluders=2: expected a number from 0 to 1"),
    ("occluders", "many", r"data.synthetic: occluders='many': expected float"),
    ("train_ids", 2.5, r"data.synthetic: train_ids=2.5: expected int"),
    ("seed", True, r"data.synthetic: seed=True: expected int"),
    ("masks", 1, r"data.synthetic: masks=1: expected bool"),
    ("jpeg_quality", [40, "x"], r"data.synthetic: jpeg_quality=\(40, 'x'\): expected tuple\[int, int\]"),
    ("size", "huge", r"data.synthetic: unknown size 'huge'; known: tiny, small, base"),
])
def test_illegal_factors_are_refused_before_anything_is_drawn(factor: str, value: object, message: str,
                                                              tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        open_source(DataConfig(name="synthetic", reader="market1501", root=None, synthetic={factor: value},
                               image_size=[64, 32],
                               cache=str(tmp_path), workers=1, on_corrupt="error"))
    assert not list(tmp_path.iterdir())


def test_open_parts_refuse_unknown_keys_with_the_known_ones() -> None:
    result = settings("search", "space.chanels=3", "augment.flop.p=1")
    with pytest.raises(ConfigError, match="has no argument chanels; it has: channels, layers"):
        create_space("auto_reid", {key: value for key, value in result.space.items() if key != "name"})
    with pytest.raises(ConfigError, match=r"unknown augmentations \['flop'\]; choose from"):
        build_augment(result.augment)


def test_space_must_come_from_a_file() -> None:
    with pytest.raises(ConfigError, match="must come from conf/space"):
        settings("search", "~space")


def test_plain_form_is_what_was_loaded() -> None:
    plain = to_plain(settings("retrain", "network.channels=64", "seed=3"))
    assert plain["network"] == {"channels": 64} and plain["seed"] == 3
    assert type(plain["data"]["synthetic"]) is dict and type(plain["augment"]["flip"]) is dict
    assert plain == to_plain(load(OmegaConf.create(plain), SCHEMAS["retrain"]))


def test_config_dir_is_the_wheels_else_the_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(config_dir()) == CONF
    monkeypatch.setattr(nas_reid, "__file__", str(tmp_path / "nas_reid" / "__init__.py"))
    assert Path(config_dir()) == tmp_path / "conf"
    (tmp_path / "nas_reid" / "conf").mkdir(parents=True)
    assert Path(config_dir()) == tmp_path / "nas_reid" / "conf"
