"""From what a user has, a checkpoint, an exported file or the folder of one, to what runs it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_reid.data.normalise import normalise
from nas_reid.deploy.folder import CONTRACT, part_of, read_folder
from nas_reid.deploy.formats import Deployed, Runner, export, onnx_runner
from nas_reid.deploy.inference import fold, folded_norms
from nas_reid.deploy.input_contract import OURS, InputContract
from nas_reid.errors import CheckpointError, ConfigError
from nas_reid.evaluation.distance import DISTANCES
from nas_reid.evaluation.threshold import Threshold, thresholds_from
from nas_reid.files.of_run import CHECKPOINTS, file_of_run
from nas_reid.files.regular import require_regular
from nas_reid.network.checkpoint import load_checkpoint
from nas_reid.network.model import ReIDNetwork
from nas_reid.network.trained import load_safetensors, trained_of

RUNTIMES = ("auto", "onnxruntime", "torch")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """A model that is ready.

    Attributes:
        run: RGB bytes [B, H, W, 3] -> embeddings [B, D].
        image_size: (height, width) that it takes.
        contract: how images are resized.
        distance: that its embeddings are compared by.
        thresholds: of its checkpoint.
        runtime: ``onnxruntime`` or ``torch``.
    """

    run: Runner
    image_size: tuple[int, int]
    contract: InputContract
    distance: str
    thresholds: tuple[Threshold, ...]
    runtime: str


def open_model(model: str | Path, *, device: torch.device, modality: int, runtime: str) -> Opened:
    """Open a checkpoint (or the folder of its run), or a folder of ``nas_reid.export`` (or the ONNX file in it).

    Args:
        model: what to open.
        device: for torch; ONNX Runtime runs on the CPU.
        modality: of all images, 0 visible or 1 infrared; exported files are of visible ones.
        runtime: ``auto`` runs an exported ONNX file with ONNX Runtime where that is installed and ``device`` is the
            CPU, anything else with torch. ``onnxruntime`` converts a checkpoint first, which takes seconds.

    Raises:
        CheckpointError: no such model, or parts that do not belong together.
        ConfigError: an option that does not fit the model, or onnxruntime is needed and not installed.
    """
    path = file_of_run(model, (*CHECKPOINTS, CONTRACT))
    exported = path.name == CONTRACT or path.suffix == ".onnx"
    if modality and (exported or runtime == "onnxruntime"):
        raise ConfigError(f"modality={modality} is infrared, and exported networks are of visible images: give the "
                          f"checkpoint that {path} was exported from, with runtime=torch" if exported else
                          "runtime=onnxruntime runs networks of visible images alone, and modality=1 is infrared")
    if runtime == "onnxruntime" and not find_spec("onnxruntime"):
        raise ConfigError("runtime=onnxruntime needs the package: pip install 'nas-reid[export]'")
    return (_open_exported if exported else _open_checkpoint)(path, device, modality, runtime)


def _open_checkpoint(path: Path, device: torch.device, modality: int, runtime: str) -> Opened:
    state = load_checkpoint(path, device=device)
    network, description = trained_of(state, path, device=device)
    size, config = description.image_size, state.get("config", {})
    distance = config.get("evaluation", {}).get("distance", "euclidean") if isinstance(config, Mapping) else "euclidean"
    if runtime == "onnxruntime":
        network = network.cpu()
        content = export(Deployed(folded_norms(network, image_size=size)), name="onnx", image_size=size)
        return Opened(_prepared(onnx_runner(content), OURS), size, OURS, distance, _thresholds(state, path), runtime)
    return Opened(_torch_runner(network, size, device, modality), size, OURS, distance, _thresholds(state, path),
                  "torch")


def _open_exported(path: Path, device: torch.device, _modality: int, runtime: str) -> Opened:
    folder = path.parent
    if path.suffix == ".onnx" and not (folder / CONTRACT).is_file():
        raise CheckpointError(f"{path} needs the model.json that nas_reid.export wrote beside it, which says what its "
                              "images are: copy the whole folder, or export the model again")
    contract = read_folder(folder)
    try:
        (height, width), images = contract["image_size"], InputContract.of(contract)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / CONTRACT} does not say what its model's images are: {error}; export it "
                              "again") from error
    onnx, weights = part_of(contract, ".onnx"), part_of(contract, ".safetensors")
    if path.suffix == ".onnx" and path.name != onnx:
        raise CheckpointError(f"{path} is not the file that the model.json beside it describes, which is {onnx}; give "
                              "that one, or export the model again")
    normalised = bool(contract.get("output", {}).get("l2_normalised"))
    use = _runtime(runtime, folder, onnx, weights, device)
    if use == "onnxruntime":
        run = _prepared(_onnx(folder / str(onnx)), images)
    else:
        network, _ = load_safetensors(folder / str(weights), device=device)
        plain = _torch_runner(network, (height, width), device, 0)
        run = (lambda bytes_: F.normalize(plain(bytes_))) if normalised else plain
    named = str(contract.get("distance"))
    distance = named if named in DISTANCES else "euclidean"
    return Opened(run, (height, width), images, distance, _thresholds(contract, folder / CONTRACT), use)


def _runtime(asked: str, folder: Path, onnx: str | None, weights: str | None, device: torch.device) -> str:
    """What runs an exported folder."""
    if asked == "onnxruntime" and onnx is None:
        raise ConfigError(f"runtime=onnxruntime: {folder} holds no ONNX file; export with format=onnx, or use torch")
    if asked == "torch" and weights is None:
        raise ConfigError(f"runtime=torch: {folder} holds no model.safetensors; export the model again, or use "
                          "onnxruntime")
    if asked != "auto":
        return asked
    if onnx and find_spec("onnxruntime") and (device.type == "cpu" or not weights):
        return "onnxruntime"
    if weights:
        return "torch"
    raise ConfigError("an ONNX file needs onnxruntime: pip install 'nas-reid[export]'" if onnx else
                      f"{folder} holds neither an ONNX file nor model.safetensors; export the model again")


def _onnx(path: Path) -> Runner:
    try:
        require_regular(path)
        return onnx_runner(str(path))
    except ImportError as error:
        raise ConfigError("an ONNX file needs onnxruntime: pip install 'nas-reid[export]'") from error
    except Exception as error:  # onnxruntime raises anything
        raise CheckpointError(f"{path} cannot be opened by onnxruntime: {str(error)[:300]}") from error


def _prepared(run: Runner, contract: InputContract) -> Runner:
    return lambda images: run(contract.prepare(images))


def _torch_runner(network: ReIDNetwork, size: tuple[int, int], device: torch.device, modality: int) -> Runner:
    folded = fold(network, image_size=size)

    def run(images: Tensor) -> Tensor:
        """Embeddings [B, D] of images, uint8 [B, H, W, 3]."""
        modalities = torch.full((len(images),), modality)  # on the host, see ``backbones.modality``
        return folded(normalise(images.to(device)), modality=modalities)

    return run


def _thresholds(state: Mapping[str, Any], origin: Path) -> tuple[Threshold, ...]:
    return tuple(thresholds_from(state.get("thresholds"), origin=str(origin)))
