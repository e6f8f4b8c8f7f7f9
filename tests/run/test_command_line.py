"""Printed commands, read back: by a shell's rules, by Hydra's parser, and by the composition they lead to."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose
from hydra.conf import ConfigSourceInfo
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from nas_reid.run.command_line import command_line, continuing_command, next_command, override, with_plain_paths
from nas_reid.run.composition import composition
from nas_reid.run.invocation import Invocation, invocation

FOLDERS = ["plain/run", "ünï ﷽/a b", "it's {x}", "a=b,c", "[x](y)", 'say "no"', "both ' and \"", "null", "1", "1e3",
           "", " lead", "trail ", "#c", "a;b", "*?", "~/a", "${now:x}", "x\\${y}", "a\\", "a\\\\'b", "$HOME", "a:b",
           "日本\n", "true", "a|b&c", "choice(1)", "C:\\new", "a,b", "{a:1}", "()", "-", "%s", "`ls`"]


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with composition():
        yield


@pytest.mark.parametrize("path", ["\u7167\u7247/a b (1).jpg", "Caf\u00e9", "/a&b;c#d/it's.jpg", "~/x", "a=b/c", "a/b"])
def test_a_path_needs_no_quotes(path: str) -> None:
    one, several = with_plain_paths([f"+query={path}", f"query=[{path},b.jpg]"])
    assert OverridesParser.create().parse_override(one).value() == path
    assert OverridesParser.create().parse_override(several).value() == [path, "b.jpg"]


@pytest.mark.parametrize("text", ["a=b=c", "-m", "a=[\u7167,[b]]", "a='\u7167'", "a=\u7167,b", "a=/x/${b}"])
def test_what_may_be_no_path_is_left_as_it_is(text: str) -> None:
    assert with_plain_paths([text]) == [text]


def job(monkeypatch: pytest.MonkeyPatch, command: str, *overrides: str) -> tuple[Invocation, dict]:
    """What is read of Hydra inside a job of this command line; the job's data, resolved."""
    cfg = compose(command, list(overrides), return_hydra_config=True)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", cfg)
    cfg.hydra.overrides.task = [text for text in overrides if not text.startswith("hydra")]
    cfg.hydra.overrides.hydra = [text for text in overrides if text.startswith("hydra")]
    cfg.hydra.runtime.output_dir = "outputs/here"
    return invocation(), OmegaConf.to_container(cfg.data, resolve=True)


def typed(line: str) -> tuple[str, list[str]]:
    """The command and its overrides, as a shell gives them to it."""
    python, flag, module, *overrides = shlex.split(line)
    assert (python, flag) == ("python", "-m")
    return module.removeprefix("nas_reid."), overrides


@pytest.mark.parametrize("value", [*FOLDERS, None, True, 3, 0.5, -1e-9, [1, "a b", None], [[1, 2], ["x,y"]],
                                   {"a": [1, "it's"], "b": None}], ids=repr)
def test_a_value_comes_back_through_the_shell_hydra_and_omegaconf(value: object) -> None:
    (text,) = shlex.split(shlex.join([override("key", value)]))
    parsed = OverridesParser.create().parse_override(text)
    assert parsed.key_or_group == "key" and not parsed.is_sweep_override()
    cfg = OmegaConf.create({"now": 1, "y": 2})
    OmegaConf.update(cfg, "key", parsed.value())
    assert OmegaConf.to_container(cfg, resolve=True)["key"] == value


def test_what_needs_no_quotes_has_none() -> None:
    assert override("genotype", "outputs/search/2026-01-31_12-00-00/genotype.json") == (
        "genotype=outputs/search/2026-01-31_12-00-00/genotype.json")
    assert override("network.layers", [1, 1]) == "network.layers=[1,1]"


@pytest.mark.parametrize("folder", FOLDERS[:8])
def test_the_printed_line_composes_to_the_same_file_and_data(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, data = job(monkeypatch, "search", "data=folder", override("data.root", folder), "+data.options.junk=1")
    name, overrides = typed(next_command(call, "retrain", {"genotype": f"{folder}/genotype.json"}, data=data))
    cfg = compose(name, overrides)
    assert cfg.genotype == f"{folder}/genotype.json"
    assert OmegaConf.to_container(cfg.data, resolve=True) == data


@pytest.mark.parametrize(("overrides", "expected"), [
    (["seed=1", "data=synthetic"], []),
    (["data=synthetic_ir", "data.image_size=[64,32]", "epochs=1"], ["data=synthetic_ir", "data.image_size=[64,32]"]),
    (["experiment=nfs_synthetic_ir", "data.workers=1"], ["data=synthetic_ir", "data.workers=1"]),
    (["experiment=smoke"], ["data.synthetic.size=tiny", "data.image_size=[64,32]"]),
    (["data=folder", "data.root=x", "++data.options.combineall=true"],
     ["data=folder", "data.root=x", "++data.options.combineall=true"]),
    (["data=folder", "data.root=x", "~data.options.combineall"],
     ["data=folder", "data.root=x", "~data.options.combineall"])])
def test_the_next_command_names_the_data_of_this_one(overrides: list[str], expected: list[str],
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    call, data = job(monkeypatch, "search", *overrides)
    name, found = typed(next_command(call, "retrain", {"genotype": "my runs/g.json"}, data=data))
    assert (name, found[0]) == ("retrain", "genotype=my runs/g.json")
    assert [text for text in found[1:] if text in expected] == expected
    assert OmegaConf.to_container(compose(name, found).data, resolve=True) == data


def test_a_command_without_data_is_told_none(monkeypatch: pytest.MonkeyPatch) -> None:
    call, _ = job(monkeypatch, "search")
    assert next_command(call, "retrain", {"network.layers": [1, 1], "weights": "a'b"}) == (
        "python -m nas_reid.retrain 'network.layers=[1,1]' " + shlex.quote("weights=\"a'b\""))


def test_the_line_that_continues_a_run_repeats_it_in_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("space.layers=[1,1]", "resume=never", "seed=3", "hydra.run.dir=old", "hydra.verbose=true",
             "hydra.sweep.dir=x")
    call, _ = job(monkeypatch, "search", *given)
    name, overrides = typed(continuing_command(call, "search", "it's, here", anew=False))
    assert (name, overrides[:3]) == ("search", ["space.layers=[1,1]", "seed=3", "hydra.verbose=true"])
    assert compose(name, overrides, return_hydra_config=True).hydra.run.dir == "it's, here"
    assert "resume=never" in continuing_command(call, "search", "x", anew=True)


def test_a_folder_of_the_users_own_configuration_is_named_again(monkeypatch: pytest.MonkeyPatch) -> None:
    job(monkeypatch, "search")
    sources = HydraConfig.get().runtime.config_sources
    sources.append(ConfigSourceInfo("/my conf", "file", "command-line"))
    line = command_line(invocation(), "search", ["seed=1"])
    assert line == "python -m nas_reid.search --config-dir '/my conf' seed=1"


@pytest.mark.parametrize(("mode", "group", "number"), [("RUN", "one", 0), ("MULTIRUN", "sweep", 3)])
def test_runs_of_a_sweep_belong_together(monkeypatch: pytest.MonkeyPatch, mode: str, group: str, number: int) -> None:
    cfg = compose("pretrain", ["genotype=x", "hydra.run.dir=/runs/one", "hydra.sweep.dir=/runs/sweep",
                               f"hydra.mode={mode}", "+hydra.job.num=3"], return_hydra_config=True)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", cfg)
    cfg.hydra.runtime.output_dir = "/runs/sweep/3"
    call = invocation()
    assert (call.folder, call.group, call.number, call.data) == (Path("/runs/sweep/3"), group, number, None)
