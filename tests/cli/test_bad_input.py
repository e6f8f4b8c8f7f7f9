"""What bad input gets: exit code 1, one message that names value, rule and way out, and nothing half-written."""

import json
from pathlib import Path

import pytest
import torch

from tests.cli.commands import EVALUATE, SEARCH, Outcome, invoke, run
from tests.cli.refusals import assert_nothing_half_written, assert_refused

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.mark.parametrize(("override", "parts"), [
    ("space=nope", ("Could not find 'space/nope'", "auto_reid")),
    ("space.primitives=nope", ("space.primitives='nope' is unknown", "darts, reid")),
    ("space.colour=3", ("has no argument colour", "channels, layers")),
    ("space.channels=wide", ("space.channels='wide'", "integer of at least 3")),
    ("space.channels=10000000", ("space.channels=10000000 is illegal: no network needs a number above 65,536",)),
    ("space.channels=60000", (r"space.layers=\[1, 1\] is illegal: every block doubles the channels, 60000 at first",)),
    ("space.nodes=65", ("space.nodes=65 is illegal; expected an integer of at least 1 and at most 64",)),
    ("space.layers=[1000000000,1]", (r"space.layers=\[1000000000, 1\] is illegal: no network needs a number",)),
    ("space.layers=[257]", ("space.layers=257 is illegal; expected an integer of at least 1 and at most 256",)),
    ("space.layers=3", ("space.layers=3", r"\[2, 2, 2, 2\]")),
    ("algorithm=nope", ("Could not find 'algorithm/nope'", "gdas")),
    ("algorithm.relaxation=nope", ("algorithm.relaxation=nope is unknown", "softmax.*gumbel_hard")),
    ("algorithm.temperature.schedule=nope", ("algorithm.temperature.schedule=nope is unknown", "linear.*exponential")),
    ("algorithm.regularisers.nope=1", ("nope", "beta_decay")),
    ("algorithm.scheme=nope", ("algorithm.scheme=nope", "second_order, joint")),
    ("epoch=3", (r"nas_reid.search has no key epoch\. Did you mean epochs\?",)),
    ("+epoch=3", (r"Key 'epoch' not in 'SearchConfig'", r"Did you mean epochs\?")),
    ("epochs=three", ("epochs", "three")),
    ("batch.size=10", ("batch.size=10", "multiple of batch.instances=4")),
    ("head.pooling=median", ("head.pooling=.?median", "average, max")),
    ("head.classifier=margin", ("head.classifier=margin", "linear, cosine")),
    ("objective.weights.tripplet.weight=1", ("objective.weights.tripplet is no loss", "cross_entropy, triplet, ")),
    ("objective.alphas.circle.gamma=64", ("objective.alphas.circle has no argument gamma", "weight, margin, scale")),
    ("objective.alphas.circle.weight=1", ("needs the cosines of head.classifier=cosine",)),
    ("weights.name=lion", ("weights.name=lion", "sgd")),
    ("augment.flip=3", ("augment.flip=3", "flip")),
    ("augment.blur={p: 1}", ("blur", "crop.*flip")),
    ("data.reader=duke", ("withdrawn", "MSMT17")),
    ("data.reader=nope", ("reader 'nope'", "folder.*market1501")),
    ("data.synthetic.size=huge", ("size 'huge'", "tiny, small, base")),
    ("data.synthetic.hats=3", ("no factor hats", "train_ids")),
    ("data.on_corrupt=ignore", ("data.on_corrupt=ignore", "error, skip")),
    ("data=market1501", ("data.root", "NAS_REID_DATA")),
    ("device=tpu9", ("device='tpu9'", "auto, cpu")),
    ("device=cuda:99", ("device='cuda:99'", "device=cpu")),
    ("wandb.mode=loud", ("wandb.mode=loud", "offline, online, disabled")),
])
def test_a_mistake_in_the_configuration_shows_before_any_data_are_touched(
        override: str, parts: tuple[str, ...], no_data: Path, tmp_path: Path) -> None:
    settings = [] if override.startswith("data=") else SEARCH
    outcome = invoke("search", *settings, override, f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, *parts)
    assert not no_data.exists(), "data were drawn or decoded before the mistake was found"
    assert_nothing_half_written(tmp_path)


@pytest.mark.parametrize(("change", "parts"), [
    (None, (r"genotype='\S+mine.json' is no file", "auto_reid/baseline")),
    ("{", ("is not JSON", "genotype.json of a search")),
    ("[]", ("holds a list", "JSON object")),
    ({"body": 3}, ("field 'body' is 3", "dict")),
    ({"colour": 3}, ("unknown fields", "colour", "space_version")),
    ({"format_version": 99}, ("format_version 99", "update nas_reid")),
    ({"format_version": 0}, ("field 'format_version' is 0; versions are counted from 1",)),
    ({"format_version": -3}, ("field 'format_version' is -3; versions are counted from 1",)),
    ({"format_version": True}, ("field 'format_version' is True; expected a int",)),
    ({"space_version": -1}, ("field 'space_version' is -1; versions are counted from 1",)),
    ({"arguments": {"channels": 4, "layers": [1000000000, 1], "nodes": 2}}, ("space|needs the argument",)),
    ({"space": "nope"}, ("'nope'", "not installed", "auto_reid")),
    ({"space_version": 99}, ("version 99 of space 'auto_reid'", "is version 1", "update")),
    ({"body": {"normal": []}}, ("genotype", "reduce")),
    ({"op": "conv_99x99"}, ("conv_99x99", "sep_conv|part_aware|skip")),
    ({"arguments": {"channels": 4}}, ("auto_reid", "layers")),
])
def test_a_bad_genotype_is_refused_before_any_data_are_touched(
        change: dict | str | None, parts: tuple[str, ...], searched: tuple[Path, Outcome],
        no_data: Path, tmp_path: Path) -> None:
    content = json.loads((searched[0] / "genotype.json").read_text())
    if isinstance(change, dict) and "op" in change:
        content["body"]["normal"][0]["inputs"][0] |= change
    elif isinstance(change, dict):
        content |= change
    if change is not None:
        (tmp_path / "mine.json").write_text(change if isinstance(change, str) else json.dumps(content))
    outcome = invoke("retrain", f"genotype={tmp_path / 'mine.json'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, "(Genotype|Config)Error: ", *parts)
    assert not no_data.exists()
    assert_nothing_half_written(tmp_path / "run")


@pytest.mark.parametrize(("content", "parts"), [
    (None, ("no checkpoint at", "best.pt of a run folder")),
    (b"", ("not a checkpoint of nas_reid, or is damaged",)),
    (b"garbage" * 100, ("not a checkpoint of nas_reid, or is damaged",)),
    ("truncated", ("not a checkpoint of nas_reid, or is damaged",)),
    ("folder", ("is a (folder|directory)|Is a directory", "best.pt")),
    ("search", ("holds no trained network", "genotype.json: give it to nas_reid.retrain")),
    ({"format_version": 99}, ("format_version 99", "update nas_reid")),
    ({"weights": {}}, ("weights do not fit", "Missing key")),
])
def test_a_bad_checkpoint_is_refused_before_any_data_are_touched(
        content: object, parts: tuple[str, ...], searched: tuple, retrained: tuple, no_data: Path,
        tmp_path: Path) -> None:
    good, path = retrained[0] / "checkpoints" / "best.pt", tmp_path / "mine.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "truncated":
        path.write_bytes(good.read_bytes()[:-1000])
    elif content == "folder":
        path = tmp_path
    elif content == "search":
        path = searched[0] / "checkpoints" / "last.pt"
    elif isinstance(content, dict):
        torch.save(torch.load(good, weights_only=True) | content, path)
    outcome = invoke("evaluate", *EVALUATE, f"checkpoint={path}", f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome, "CheckpointError: ", *parts)
    assert not no_data.exists()
    assert_nothing_half_written(tmp_path / "run")


def test_a_damaged_checkpoint_does_not_start_the_run_anew(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.pt").write_bytes(b"garbage" * 100)
    outcome = invoke("search", *SEARCH, f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, "CheckpointError: .*last.pt is not a checkpoint of nas_reid, or is damaged", "resume=never")
    assert (tmp_path / "checkpoints" / "last.pt").read_bytes() == b"garbage" * 100


@pytest.mark.parametrize("arguments", [("hydra.run.dir={}",), ("-m", "seed=0,1", "hydra.sweep.dir={}")])
def test_an_output_folder_that_cannot_be_written(arguments: tuple[str, ...], no_data: Path, tmp_path: Path) -> None:
    """A folder below a file cannot be made even by root."""
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "run"
    outcome = invoke("search", *(argument.format(folder) for argument in arguments))
    assert_refused(outcome, f"cannot write to the output folder {folder}", "hydra.run.dir=")
    assert not no_data.exists()


def test_the_printed_form(no_data: Path, tmp_path: Path) -> None:
    """In a process of its own: the reason is all that is printed, once; the job's log has it, too."""
    outcome = run("search", "batch.size=10", f"hydra.run.dir={tmp_path / 'run'}")
    assert_refused(outcome)
    reason = "batch.size=10 must be a positive multiple of batch.instances=4"
    assert (outcome.out, outcome.err) == ("", f"ConfigError: {reason}\n")
    assert f"[ERROR] - {reason}" in (tmp_path / "run" / "search.log").read_text()
    assert not no_data.exists()
