"""Settings from Python are those of the command line."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from nas_reid.config.schemas import SearchConfig
from nas_reid.errors import ConfigError
from nas_reid.run.compose import settings
from nas_reid.run.composition import composition, data_file


def test_overrides_are_those_of_the_command_line() -> None:
    found = settings("search", ["space=osnet_ain", "data.synthetic.size=tiny", "space.width=0.5"])
    assert type(found) is SearchConfig and (found.space["name"], found.space["width"]) == ("osnet_ain", 0.5)
    assert found.data.synthetic["size"] == "tiny"
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize(("command", "override", "message"), [
    ("serach", "seed=0", "command 'serach' is unknown; known are: search, retrain"),
    ("search", "space=nowhere", "Could not find .*space/nowhere.*auto_reid"),
    ("search", "sede=0", r"nas_reid.search has no key sede\. Did you mean seed"),
    ("search", "seed=zero", "seed=zero must be a whole number"),
    ("search", "epochs=0", "epochs=0 must be at least 1"),
    ("retrain", "epochs=1", "genotype must be given"),
])
def test_a_mistake_is_an_error_of_the_configuration(command: str, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(command, [override])


def test_a_program_with_a_hydra_of_its_own_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_text("theirs: 1\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert settings("search").epochs == 10 and data_file("market1501")["reader"] == "market1501"
        assert compose("theirs") == {"theirs": 1}


def test_the_hydra_of_a_command_composes_for_it() -> None:
    with composition():
        ours = GlobalHydra.instance().hydra
        with composition():
            assert GlobalHydra.instance().hydra is ours
        assert GlobalHydra.instance().hydra is ours
