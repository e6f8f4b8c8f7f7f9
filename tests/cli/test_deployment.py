"""From a checkpoint to a file for other runtimes, and to the features of a folder."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import nas_reid.export
from nas_reid.network.checkpoint import load_checkpoint, save_checkpoint
from tests.cli.commands import invoke
from tests.cli.refusals import assert_refused
from tests.cli.trained_checkpoint import save_trained


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "best.pt"
    save_trained(path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    (folder / "below").mkdir()
    for name in ("b.png", "a.png", "below/c.png"):
        Image.fromarray(random.integers(256, size=(40, 20, 3), dtype=np.uint8)).save(folder / name)
    return folder


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if path.is_file() and path.suffix != ".log")


def test_an_onnx_file_gives_the_checkpoints_features(checkpoint: Path, images: Path, tmp_path: Path) -> None:
    outcome = invoke("export", f"checkpoint={checkpoint}", f"hydra.run.dir={tmp_path / 'onnx'}", "threads=1")
    assert outcome.code == 0, outcome.err
    assert left(tmp_path / "onnx") == ["model.json", "model.onnx"]
    assert len((tmp_path / "onnx" / "export.log").read_text().splitlines()) == 1  # nothing of the exporter's passes
    contract = json.loads((tmp_path / "onnx" / "model.json").read_text())
    assert contract == json.loads(outcome.out.splitlines()[-1])
    assert contract["image_size"] == [32, 16] and contract["embedding"] == 8 and contract["input"]["range"] == [0, 255]
    assert contract["parity"]["batches"] == [1, 7] and contract["parity"]["difference"] <= 1e-4
    found = {}
    for model in (checkpoint, tmp_path / "onnx" / "model.onnx"):
        folder = tmp_path / model.suffix[1:]
        outcome = invoke("extract", f"checkpoint={model}", f"images={images}", f"hydra.run.dir={folder}",
                         "batch_size=2", "threads=1")
        assert outcome.code == 0, outcome.err
        with np.load(folder / "features.npz") as file:
            found[model.suffix] = file["features"]
            assert file["paths"].tolist() == ["a.png", "b.png", "below/c.png"]
    assert found[".pt"].shape == (3, 8)
    np.testing.assert_allclose(found[".onnx"], found[".pt"], atol=1e-4)


def test_features_as_safetensors(checkpoint: Path, images: Path, tmp_path: Path) -> None:
    Image.open(images / "a.png").convert("L").save(tmp_path / "grey.png")
    outcome = invoke("extract", f"checkpoint={checkpoint}", f"images={tmp_path}", "format=safetensors", "threads=1",
                     f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out.splitlines()[-1])["converted"] == 1
    with safe_open(tmp_path / "run" / "features.safetensors", "numpy") as file:
        assert file.get_tensor("features").shape == (1, 8) and json.loads(file.metadata()["paths"]) == ["grey.png"]


def test_an_export_that_computes_something_else_leaves_no_file(checkpoint: Path, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    original = nas_reid.export.folded_norms

    def spoilt(network, **arguments):
        folded = original(network, **arguments)
        folded.head.embedding.bias.add_(1)
        return folded

    monkeypatch.setattr(nas_reid.export, "folded_norms", spoilt)
    outcome = invoke("export", f"checkpoint={checkpoint}", "format=torchscript", f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, r"ExportError: format=torchscript: embeddings of 1 images differ from PyTorch's by 1",
                   "Nothing was written")
    assert left(tmp_path) == []


def test_what_cannot_be_exported_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    run = f"hydra.run.dir={tmp_path / 'run'}"
    assert_refused(invoke("export", f"checkpoint={checkpoint}", "format=caffe", run),
                   "format=caffe is unknown; known are: onnx, torchscript, exported_program")
    save_checkpoint(tmp_path / "last.pt", {"epoch": 3, "bilevel": {}}, config={})
    assert_refused(invoke("export", f"checkpoint={tmp_path / 'last.pt'}", run), "holds no trained network")
    assert_refused(invoke("export", f"checkpoint={tmp_path / 'none.pt'}", run), "CheckpointError")
    (tmp_path / "taken").write_text("a file")
    outcome = invoke("export", f"checkpoint={checkpoint}", f"hydra.run.dir={tmp_path / 'taken'}")
    assert_refused(outcome, "cannot write to the output folder")


def test_images_that_cannot_be_read_are_refused(checkpoint: Path, images: Path, tmp_path: Path) -> None:
    run = f"hydra.run.dir={tmp_path / 'run'}"
    Image.open(images / "a.png").convert("L").save(tmp_path / "grey.png")
    assert_refused(invoke("extract", f"checkpoint={checkpoint}", f"images={tmp_path}", "not_rgb=refuse", run),
                   r"grey\.png has colour mode L")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    assert_refused(invoke("extract", f"checkpoint={checkpoint}", f"images={tmp_path}", run),
                   r"DataError: 1 of 2 images in .*\n  broken\.jpg: \S+broken\.jpg cannot be read as an image")
    assert_refused(invoke("extract", f"checkpoint={checkpoint}", f"images={tmp_path / 'no'}", run), "is no folder")
    assert left(tmp_path / "run") == []


def test_unreadable_images_are_all_named_or_left_out(checkpoint: Path, images: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(images, tmp_path / "mine")
    good = sorted(path.relative_to(mine).as_posix() for path in mine.rglob("*.png"))
    for name in ("a.jpg", "z.png", "._0.jpg"):
        (mine / name).write_bytes(b"broken")
    (mine / "notes.txt").touch()
    command = ("extract", f"checkpoint={checkpoint}", f"images={mine}", "threads=1", "batch_size=2")
    outcome = invoke(*command, f"hydra.run.dir={tmp_path / 'refused'}")
    assert_refused(outcome, rf"2 of {len(good) + 2} images in \S+mine cannot be read; replace these files, or leave "
                   "them out with on_corrupt=skip\n  a.jpg: .*\n  z.png: ")
    outcome = invoke(*command, "on_corrupt=skip", f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    with np.load(tmp_path / "run" / "features.npz") as file:
        assert file["paths"].tolist() == good and file["features"].shape == (len(good), 8)
    assert re.search(rf"left out 2 of {len(good) + 2} images, which cannot be read: a.jpg", outcome.out)
    assert "left out 1 entries that are no images (1 .txt)" in outcome.out
    assert json.loads(outcome.out.splitlines()[-1])["skipped"] == 2


def test_a_network_that_diverged_is_refused_at_every_door(tmp_path: Path) -> None:
    state = save_trained(tmp_path / "good.pt").state_dict()
    name = next(iter(state))
    state[name].flatten()[0] = torch.nan
    saved = load_checkpoint(tmp_path / "good.pt")
    save_checkpoint(tmp_path / "best.pt", {**saved, "weights": state}, config={})
    for command in ("evaluate", "export", "extract"):
        extra = [f"images={tmp_path}"] if command == "extract" else []
        (tmp_path / "a.png").touch()
        outcome = invoke(command, f"checkpoint={tmp_path / 'best.pt'}", *extra, f"hydra.run.dir={tmp_path / command}")
        assert_refused(outcome, rf"best\.pt: 1 of \d+ weights are NaN or infinite, such as {re.escape(name)}")
