"""Targets and sources: what a name means, what a change changes, and which of the run's settings stay."""

from pathlib import Path

import pytest

from nas_reid.config.groups import DataConfig
from nas_reid.config.schemas import RetrainConfig
from nas_reid.errors import ConfigError, DataError
from nas_reid.run import compose
from nas_reid.run.further_data import further_data, open_further


def retrain(*overrides: str) -> RetrainConfig:
    return compose.settings("retrain", ["genotype=osnet_ain/paper", *overrides])


def targets(*overrides: str) -> dict[str, DataConfig]:
    settings = retrain(*overrides)
    return further_data("targets", settings.targets, settings.data)


def test_nothing_is_named_by_default() -> None:
    settings = retrain()
    assert (settings.sources, settings.targets, settings.validation_data) == (None, None, None)
    assert further_data("targets", None, settings.data) == {}


def test_a_domain_of_drawn_data_shares_all_their_other_factors() -> None:
    found = targets("data=synthetic_domains", "data.synthetic.style=0", "data.cache=elsewhere", "targets=[b,c]")
    assert list(found) == ["b", "c"]
    for name, data in found.items():
        assert (data.name, data.synthetic["domain"], data.synthetic["style"]) == (name, name, 0)
        assert (data.cache, data.image_size) == ("elsewhere", [128, 64])


def test_a_file_of_conf_data_is_read_at_the_image_size_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_REID_DATA", "/images")
    (market,) = targets("data=synthetic_domains", "data.workers=3", "targets=market1501").values()
    assert (market.name, market.reader, market.root, market.synthetic) == ("market1501", "market1501", "/images", None)
    assert (market.image_size, market.workers) == ([128, 64], 3)


@pytest.mark.parametrize("overrides", [
    ["targets={market1501: {root: /m}, mine: {root: /x, reader: folder}}"],
    ["+targets.market1501.root=/m", "+targets.mine.root=/x", "+targets.mine.reader=folder"],
])
def test_changes_apply_to_a_file_or_to_the_runs_own_data(overrides: list[str]) -> None:
    found = targets("data=msmt17", "data.root=/s", "data.on_corrupt=skip", *overrides)
    assert [(data.reader, data.root, data.on_corrupt) for data in found.values()] == [
        ("market1501", "/m", "skip"), ("folder", "/x", "skip")]


@pytest.mark.parametrize(("overrides", "message"), [
    (["targets=[nowhere]"], r"targets\.nowhere: expected a file of conf/data \(.*market1501.*\) or a domain of the "
                            r"drawn data \(a, b, c, d, e, f\); .* such as \+targets\.nowhere\.root=DIR"),
    (["data=folder", "data.root=/s", "targets=[b]"], r"targets\.b: expected a file of conf/data \([^)]*\); any other"),
    (["targets=[folder]"], r"targets\.folder: root=None must name the folder"),
    (["+targets.b.rot=/x"], r"targets\.b: Key 'rot' not in 'DataConfig'"),
    (["targets={b: 3}"], r"targets\.b=3: expected keys of data"),
    (["targets=3"], r"targets=3: expected names of data sets"),
    (["targets=[{b: {}}]"], r"expected names of data sets"),
    (["targets=[synthetic]"], r"targets names synthetic, which is what is trained on"),
])
def test_what_means_nothing_is_named(overrides: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAS_REID_DATA", raising=False)
    with pytest.raises(ConfigError, match=message):
        targets(*overrides)


def test_one_data_set_is_enough_to_validate_on() -> None:
    with pytest.raises(ConfigError, match="validation_data names c, d; expected one data set"):
        further_data("validation_data", ["c", "d"], retrain().data)


@pytest.mark.parametrize(("override", "message"), [
    ("validation_by=domain", "validation_by=domain is unknown; known are: identity, camera"),
    ("freeze_trunk_epochs=20", "freeze_trunk_epochs=20 must be >= 0 and smaller than epochs=20"),
    ("validation_data=c", "validation_data=c does not go with full_training_set=true"),
])
def test_illegal_values_are_refused_by_name(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        retrain("epochs=20", f"full_training_set={override.startswith('validation_data')}", override)


def test_what_cannot_be_opened_is_named_by_its_own_key(tmp_path: Path) -> None:
    """A folder that is called data.root stays what it is."""
    root = tmp_path / "data.root"
    named = targets(f"targets={{market1501: {{root: {root}}}}}", "data=synthetic")
    with pytest.raises(DataError) as refused:
        open_further("targets", named)
    message = str(refused.value)
    assert message.startswith("targets.market1501: ") and f"{root} is no" in message
    assert message.endswith("set targets.market1501.root= to the folder that holds the three")
