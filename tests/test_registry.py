"""Spaces and genotypes by name: what is found, and what a wrong name is told."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import nas_reid.registry as registry
from nas_reid.errors import ConfigError, GenotypeError
from nas_reid.genotype import Genotype
from nas_reid.registry import create_space, known_spaces, load_genotype, register, space_class, space_of

AUTO_REID = {"channels": 4, "layers": [1, 1], "nodes": 2, "primitives": "reid", "parts": 2,
             "part_attention": "published", "stem": "reid"}
PUBLISHED = ["auto_reid/baseline", "auto_reid/baseline_reid", "auto_reid/retrieval"]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of a test end with it."""
    space_class("auto_reid")  # a module registers only when it is first imported
    monkeypatch.setattr(registry, "_spaces", dict(registry._spaces))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The site folder of a stranger's distribution with one space in one file."""
    (tmp_path / "strange_space.py").write_text(
        "from nas_reid.registry import register\n"
        "@register('strange')\n"
        "class Strange:\n"
        "    name, version = 'strange', 3\n"
        "    def __init__(self, width, *, depth=1):\n"
        "        self.width, self.depth = width, depth\n")
    (tmp_path / "conf" / "space").mkdir(parents=True)
    (tmp_path / "conf" / "space" / "strange.yaml").write_text("name: strange\nwidth: 5\n")
    info = tmp_path / "strange_space-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-space\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nas_reid.search_spaces]\nstrange = strange_space\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("strange_space", None)


def test_unknown_space_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown search space 'nope'; known are: .*\bauto_reid\b"):
        space_class("nope")


@pytest.mark.parametrize("name", ["", "Auto_ReID", "auto_reid.space", "../auto_reid", "os.path", "auto reid", "1st"])
def test_a_name_is_a_name_and_never_a_path(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown search space"):
        space_class(name)
    with pytest.raises(ConfigError, match="is illegal"):
        register(name)


def test_a_bundled_space_is_found_without_being_imported_for_the_list() -> None:
    assert "auto_reid" in known_spaces()
    assert space_class("auto_reid").__module__ == "search_spaces.auto_reid.space"


def test_a_module_that_registers_another_name_is_no_space(tmp_path: Path, installed: Path) -> None:
    (installed / "strange_space.py").write_text("")
    with pytest.raises(ConfigError, match="unknown search space 'strange'"):
        space_class("strange")


def test_registering_a_taken_name_raises() -> None:
    @register("taken")
    class First:
        pass

    assert space_class("taken") is First
    with pytest.raises(ConfigError, match=r"'taken' is already registered by .*test_registry; choose another name"):
        @register("taken")
        class Second:
            pass
    assert space_class("taken") is First
    register("taken")(First)  # a module that is imported again is no conflict


def test_an_installed_distribution_offers_its_space(installed: Path) -> None:
    assert "strange" in known_spaces()
    assert "strange_space" not in sys.modules  # listing imports nothing
    space = create_space("strange", {"width": 5})
    assert (space.name, space.width, space.depth) == ("strange", 5, 1)


def test_the_yaml_of_an_installed_space_is_found(installed: Path) -> None:
    from nas_reid.run import compose

    assert compose.settings("search", ["space=strange"]).space == {"name": "strange", "width": 5}
    assert "strange_space" not in sys.modules


def test_a_distribution_without_its_module_is_reported_and_passed_over(
        installed: Path, caplog: pytest.LogCaptureFixture) -> None:
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl

    from nas_reid.run.search_path import InstalledSpaces

    (installed / "strange_space.py").unlink()
    path = ConfigSearchPathImpl()
    InstalledSpaces().manipulate_search_path(path)
    assert "'strange' of strange-space cannot be found" in caplog.text
    assert not [element for element in path.get_path() if "strange" in element.provider]


def test_a_typing_error_in_an_argument_lists_the_arguments(installed: Path) -> None:
    with pytest.raises(ConfigError, match="'strange' has no argument widht; it has: width, depth"):
        create_space("strange", {"widht": 5})
    with pytest.raises(ConfigError, match="'auto_reid' has no argument chanels; it has: channels, layers"):
        create_space("auto_reid", {**AUTO_REID, "chanels": 8})


def test_a_missing_argument_is_named(installed: Path) -> None:
    with pytest.raises(ConfigError, match="'strange' needs the argument width; it has: width, depth"):
        create_space("strange", {})


def test_a_module_that_cannot_be_imported_is_named(installed: Path) -> None:
    (installed / "strange_space.py").write_text("import a_package_nobody_has\n")
    with pytest.raises(ConfigError, match=r"'strange' cannot be imported from strange_space: .*a_package_nobody_has"):
        space_class("strange")


def test_the_space_of_a_genotype_takes_overrides(installed: Path) -> None:
    genotype = Genotype("strange", 3, {}, arguments={"width": 5, "depth": 2})
    assert space_of(genotype).width == 5
    wider = space_of(genotype, {"width": 9})
    assert (wider.width, wider.depth) == (9, 2)
    with pytest.raises(ConfigError, match="has no argument hight"):
        space_of(genotype, {"hight": 1})


def test_a_genotype_of_a_newer_space_is_refused(installed: Path) -> None:
    assert space_of(Genotype("strange", 2, {}, arguments={"width": 5})).version == 3
    with pytest.raises(GenotypeError, match=r"version 4 of space 'strange', installed is version 3: update"):
        space_of(Genotype("strange", 4, {}, arguments={"width": 5}))


def test_a_newer_space_is_named_even_when_its_arguments_are_new_too(installed: Path) -> None:
    with pytest.raises(GenotypeError, match="installed is version 3: update"):
        space_of(Genotype("strange", 4, {}, arguments={"width": 5, "invented_later": 1}))


def test_a_genotype_of_a_space_that_is_not_installed() -> None:
    with pytest.raises(GenotypeError, match=r"belongs to search space 'strange', which is not installed here; "
                                            r"installed are: .*auto_reid.*Install the package"):
        space_of(Genotype("strange", 1, {}))


@pytest.mark.parametrize("reference", PUBLISHED)
def test_published_genotypes_load_by_name(reference: str) -> None:
    genotype = load_genotype(reference)
    assert genotype.space == "auto_reid" and set(genotype.body) == {"normal", "reduce"}
    assert space_of(genotype).name == "auto_reid"


def test_a_file_loads_by_path_and_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genotype = Genotype("auto_reid", 1, {"mine": 1})
    genotype.save(tmp_path / "genotype.json")
    assert load_genotype(str(tmp_path / "genotype.json")) == genotype
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_genotype("~/genotype.json") == genotype
    (tmp_path / "auto_reid").mkdir()
    genotype.save(tmp_path / "auto_reid" / "baseline")
    monkeypatch.chdir(tmp_path)
    assert load_genotype("auto_reid/baseline") == genotype


def test_an_unknown_genotype_lists_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenotypeError) as error:
        load_genotype("auto_reid/best")
    assert str(tmp_path / "auto_reid" / "best") in str(error.value)  # the resolved path: a wrong folder shows
    assert f"auto_reid publishes: {', '.join(PUBLISHED)}" in str(error.value)
    assert "recent files here" not in str(error.value)


def test_a_wrong_path_lists_published_names_and_recent_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recent = tmp_path / "outputs" / "search" / "run" / "genotype.json"
    recent.parent.mkdir(parents=True)
    recent.write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenotypeError) as error:
        load_genotype("output/genotype.json")
    for reference in PUBLISHED:
        assert reference in str(error.value)
    assert str(tmp_path / "output" / "genotype.json") in str(error.value)
    assert f"recent files here: {recent.relative_to(tmp_path)}" in str(error.value)


def test_a_folder_is_no_genotype(tmp_path: Path) -> None:
    with pytest.raises(GenotypeError, match="is no file"):
        load_genotype(str(tmp_path))


def test_a_broken_stranger_does_not_spoil_the_message(installed: Path) -> None:
    (installed / "strange_space.py").write_text("raise RuntimeError('broken package')\n")
    with pytest.raises(GenotypeError, match=r"published genotypes: .*auto_reid/retrieval"):
        load_genotype("nowhere.json")


def test_published_files_are_valid_json_without_this_machine() -> None:
    folder = Path(sys.modules["search_spaces.auto_reid"].__file__).parent / "genotypes"
    files = sorted(folder.glob("*.json"))
    assert [f"auto_reid/{file.stem}" for file in files] == PUBLISHED
    for file in files:
        assert "/" not in json.loads(file.read_text())["space"]


def test_a_space_may_take_any_options(monkeypatch: pytest.MonkeyPatch) -> None:
    class Open:
        def __init__(self, width: int, *rest: int, depth: int = 1, **options: int) -> None:
            self.width, self.depth, self.options = width, depth, options

    monkeypatch.setitem(registry._spaces, "open_space", Open)
    space = create_space("open_space", {"width": 3, "extra": 4})
    assert (space.width, space.depth, space.options) == (3, 1, {"extra": 4})
    with pytest.raises(ConfigError, match=r"needs the argument width; it has: width, depth$"):
        create_space("open_space", {"extra": 4})


def test_a_training_is_told_of_the_keys_that_it_has() -> None:
    """A space names its arguments as a search sets them; a retraining sets them as network.<argument>."""
    genotype = load_genotype("auto_reid/retrieval")
    with pytest.raises(ConfigError, match=r"^network\.channels=0 is illegal"):
        space_of(genotype, {"channels": 0})
    with pytest.raises(ConfigError, match=r"^genotype\.arguments\.channels=0 is illegal"):
        space_of(replace(genotype, arguments={**genotype.arguments, "channels": 0}))
