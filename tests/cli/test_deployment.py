"""From a checkpoint to a file for other runtimes, and to the features of a folder."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors import safe_open

import nas_reid.export
from nas_reid.deploy.feature_extractor import FeatureExtractor
from nas_reid.evaluation.threshold import read_thresholds
from nas_reid.network.checkpoint import load_checkpoint, save_checkpoint
from tests.cli.commands import Outcome, invoke
from tests.cli.refusals import assert_refused
from tests.cli.trained_checkpoint import save_trained

Ran = tuple[Path, Outcome]


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
    assert left(tmp_path / "onnx") == ["README.md", "genotype.json", "model.json", "model.onnx", "model.safetensors"]
    assert len((tmp_path / "onnx" / "export.log").read_text().splitlines()) == 1  # nothing of the exporter's passes
    contract = json.loads((tmp_path / "onnx" / "model.json").read_text())
    assert contract == json.loads(outcome.out.splitlines()[-1])
    assert contract["image_size"] == [32, 16] and contract["embedding"] == 8 and contract["input"]["range"] == [0, 255]
    assert contract["parity"]["batches"] == [1, 7] and contract["parity"]["difference"] <= 1e-4
    found = {}
    for name, model, runtime in (("pt", checkpoint, "auto"), ("onnx", tmp_path / "onnx" / "model.onnx", "auto"),
                                 ("safetensors", tmp_path / "onnx", "torch")):
        folder = tmp_path / name
        outcome = invoke("extract", f"checkpoint={model}", f"images={images}", f"hydra.run.dir={folder}/run",
                         "batch_size=2", "threads=1", f"runtime={runtime}")
        assert outcome.code == 0, outcome.err
        ran = json.loads(outcome.out.splitlines()[-1])["runtime"]
        assert ran == ("onnxruntime" if name == "onnx" else "torch")
        with np.load(folder / "run" / "features.npz") as file:
            found[name] = file["features"]
            assert file["paths"].tolist() == ["a.png", "b.png", "below/c.png"]
    assert found["pt"].shape == (3, 8)
    for features in found.values():
        np.testing.assert_allclose(features, found["pt"], atol=1e-4)


def test_an_exported_folder_says_what_was_trained_and_measured(trained: Ran, tmp_path: Path) -> None:
    """From a real training: data, thresholds and metrics; and a threshold that decides the same everywhere."""
    run, out = trained[0], tmp_path / "out"
    outcome = invoke("export", f"checkpoint={run}", f"hydra.run.dir={out}", "threads=1", "tracker=ultralytics",
                     "opset=20", "licence=MIT")
    assert outcome.code == 0, outcome.err
    assert left(out) == ["README.md", "genotype.json", "model.json", "model.safetensors",
                         "resnet_synthetic.onnx"]
    contract = json.loads((out / "model.json").read_text())
    assert contract["onnx"] == {"opset": 20, "ir_version": 9} and contract["input"]["range"] == [0, 1]
    assert contract["data"]["name"] == "synthetic" and "show nobody" in contract["data"]["licence"]
    assert contract["metrics"]["values"] == json.loads((run / "result.json").read_text())["metrics"]
    kept = read_thresholds(run / "checkpoints" / "best.pt")
    assert contract["thresholds"] == [each.to_plain() for each in kept] and contract["distance"] == "euclidean"
    assert set(contract["files"]) == set(left(out)) - {"README.md", "model.json"}
    card = (out / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["license_name"] == "MIT" and header["datasets"] == ["synthetic"]
    assert header["model-index"][0]["results"][0]["metrics"][0]["value"] == contract["metrics"]["values"]["rank1"]
    assert f"| euclidean | no | {kept[0].value:.4g} [" in card and "values 0 to 1" in card
    images = list(np.random.default_rng(0).integers(256, size=(6, 40, 20, 3), dtype=np.uint8))
    extractors = [FeatureExtractor(out), FeatureExtractor(out, runtime="torch")]
    assert [each.runtime for each in extractors] == ["onnxruntime", "torch"]
    features = [each(images) for each in extractors]
    np.testing.assert_allclose(features[0], features[1], atol=1e-4)
    apart = float((features[0][0] - features[0][1]).norm())
    answers = [each.same(images[0], images[1]) for each in extractors]
    assert answers == [apart <= kept[0].value] * 2 and extractors[0].same(images[0], images[0])


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
    words = ("tracker=boxmot", "format=torchscript", "normalisation=inside", "interpolation=antialiased", "opset=17",
             "name=a/b")
    assert_refused(invoke("export", f"checkpoint={checkpoint}", *words, run),
                   "format=torchscript does not go with tracker=boxmot, which is tested with ONNX files",
                   "normalisation=inside does not go with tracker=boxmot, whose crops are prepared with "
                   "normalisation=outside: leave it out", "interpolation=antialiased does not go with .*=opencv",
                   "opset=17 must be from 18 to 25", "name=a/b must be a file name")
    words = ("tracker=sort", "normalisation=outside", "largest=1")
    assert_refused(invoke("export", f"checkpoint={checkpoint}", *words, run),
                   "tracker=sort is unknown; known are: boxmot, ultralytics",
                   "largest=1 has no meaning with normalisation=outside")
    assert_refused(invoke("export", f"checkpoint={checkpoint}", f"results={tmp_path}", run),
                   "is no result.json of nas_reid.evaluate")
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
                   r"grey\.png: has colour mode L")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    assert_refused(invoke("extract", f"checkpoint={checkpoint}", f"images={tmp_path}", run),
                   r"DataError: 1 of 2 images in .*\n  broken\.jpg: cannot be read as an image")
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
    assert re.search(rf"left out 2 of {len(good) + 2} images, which cannot be read:\n  a.jpg: ", outcome.out)
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
