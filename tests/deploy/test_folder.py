"""An exported folder is taken whole, or refused with the part that does not belong."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import nas_reid.deploy.opening as opening
from nas_reid.deploy.card import model_card
from nas_reid.deploy.feature_extractor import FeatureExtractor
from nas_reid.deploy.folder import CONTRACT, read_folder, write_folder
from nas_reid.deploy.input_contract import OURS
from nas_reid.errors import CheckpointError, ConfigError, ExportError
from nas_reid.evaluation.threshold import Threshold
from nas_reid.network.checkpoint import load_checkpoint, save_checkpoint
from nas_reid.network.trained import load_safetensors, load_trained, to_safetensors
from tests.cli.trained_checkpoint import save_trained

CPU = torch.device("cpu")
KEPT = Threshold(0.5, (0.4, 0.6), 0.01, 0.01, (0.0, 0.02), 0.9, "cosine", False, 9, 40, 400, 0.95)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As export leaves it, without an ONNX file."""
    save_trained(tmp_path / "best.pt")
    network, description = load_trained(tmp_path / "best.pt", device=CPU)
    contract = {"image_size": [32, 16], **OURS.describe((32, 16)), "output": {"l2_normalised": True},
                "distance": "cosine", "thresholds": [KEPT.to_plain()], "file": "model.pt2"}
    (tmp_path / "out").mkdir()
    write_folder(tmp_path / "out", {"model.safetensors": to_safetensors(network, description), "model.pt2": b"other"},
                 contract, "a card")
    return tmp_path / "out"


def test_a_folder_without_onnx_runs_with_torch(folder: Path) -> None:
    extractor, plain = FeatureExtractor(folder), FeatureExtractor(folder.parent / "best.pt")
    images = list(np.random.default_rng(0).integers(256, size=(3, 40, 20, 3), dtype=np.uint8))
    expected = plain(images)
    torch.testing.assert_close(extractor(images), expected / expected.norm(dim=1, keepdim=True))
    assert extractor.runtime == "torch" and extractor.threshold == KEPT and extractor.distance == "cosine"
    apart = 1 - torch.nn.functional.cosine_similarity(expected[:1], expected[1:2]).item()
    assert extractor.same(images[0], images[1]) == (apart <= 0.5)
    (folder / "README.md").write_text("edited")
    assert FeatureExtractor(folder).image_size == (32, 16)


def test_a_checkpoint_is_converted_for_onnxruntime_where_asked(tmp_path: Path) -> None:
    save_trained(tmp_path / "best.pt", "resnet/resnet18", channels=2, stem_channels=2)
    images = list(np.random.default_rng(0).integers(256, size=(3, 40, 20, 3), dtype=np.uint8))
    converted, plain = (FeatureExtractor(tmp_path / "best.pt", runtime=name) for name in ("onnxruntime", "torch"))
    assert converted.runtime == "onnxruntime"
    torch.testing.assert_close(converted(images), plain(images), atol=1e-4, rtol=0)


def test_parts_that_do_not_belong_together_are_refused(folder: Path) -> None:
    (folder / "model.pt2").write_bytes(b"of another export")
    with pytest.raises(CheckpointError, match=r"model\.pt2 has SHA-256 \w{12}…, and model\.json expects .* export the"):
        FeatureExtractor(folder)
    (folder / "model.pt2").unlink()
    with pytest.raises(CheckpointError, match=r"out lacks model\.pt2, which its model\.json names"):
        read_folder(folder)
    contract = json.loads((folder / CONTRACT).read_text())
    for change, message in (({"format_version": 2}, "format_version 2, newer than 1"),
                            ({"files": {"../best.pt": {"sha256": "0"}}}, r"names the file '\.\./best\.pt', which is"),
                            ({"files": ["model.pt2"]}, r"model\.json cannot be read \(AttributeError"),
                            ({"files": {}, "image_size": None}, "does not say what its model's images are"),
                            ({"files": {}, "input": {"range": [0, 2]}}, r"range \[0, 2\]")):
        (folder / CONTRACT).write_text(json.dumps(contract | change))
        with pytest.raises(CheckpointError, match=message):
            FeatureExtractor(folder)
    (folder / CONTRACT).write_text("[]")
    with pytest.raises(CheckpointError, match="it holds a list"):
        FeatureExtractor(folder)


def test_a_folder_that_cannot_be_written_has_no_contract(folder: Path) -> None:
    (folder / "model.onnx").mkdir()
    with pytest.raises(ExportError, match=r"cannot write .*choose another folder"):
        write_folder(folder, {"model.onnx": b""}, {}, "")
    assert not (folder / CONTRACT).exists()


def test_a_runtime_that_is_not_there_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="holds no ONNX file; export with format=onnx, or use torch"):
        FeatureExtractor(folder, runtime="onnxruntime")
    with pytest.raises(ConfigError, match="runtime='tvm' is unknown; known are: auto, onnxruntime, torch"):
        FeatureExtractor(folder, runtime="tvm")
    with pytest.raises(ConfigError, match="modality=1 is infrared, and exported networks are of visible images"):
        FeatureExtractor(folder, modality=1)
    monkeypatch.setattr(opening, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"needs the package: pip install 'nas-reid\[export\]'"):
        FeatureExtractor(folder, runtime="onnxruntime")


def test_without_a_threshold_nothing_is_decided(folder: Path) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"best\.pt has no threshold for euclidean distances without flip.*train it"):
        FeatureExtractor(folder.parent / "best.pt").same(image, image)
    with pytest.raises(ConfigError, match="no threshold for cosine distances with flip"):
        FeatureExtractor(folder, flip=True).same(image, image)
    state = load_checkpoint(folder.parent / "best.pt")
    state |= {"thresholds": [{**KEPT.to_plain(), "across": True}], "config": {"evaluation": {"distance": "cosine"}}}
    save_checkpoint(folder.parent / "best.pt", state, config={})
    with pytest.raises(ConfigError, match="is for pairs of an infrared and a visible image"):
        FeatureExtractor(folder.parent / "best.pt").same(image, image)


def test_what_is_no_safetensors_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"is no model\.safetensors of nas_reid, or is damaged"):
        load_safetensors(tmp_path / "model.safetensors", device=CPU)
    with pytest.raises(CheckpointError, match="is no model"):
        load_safetensors(tmp_path / "none.safetensors", device=CPU)


def test_a_card_without_measurements_says_so() -> None:
    card = model_card({"name": "m", "space": "s", "format": "torchscript", "tracker": None, "parameters": 5,
                       "embedding": 8, "distance": "cosine", "thresholds": [], "metrics": None, "onnx": None,
                       "file": "m.pt", "licence": "MIT", "intended_use": "none", "data": {"name": "d", "licence": "l"},
                       "output": {"shape": ["batch", 8], "l2_normalised": True}, **OURS.describe((32, 16))})
    assert "Not measured." in card and "No threshold was fitted" in card and "model-index" not in card
    assert "float32 [batch, 8], of length 1" in card and "extractor.same" not in card
