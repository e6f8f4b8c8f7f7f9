"""Export a trained network: a folder that explains itself, with an ONNX file that was checked against PyTorch.

    python -m nas_reid.export checkpoint=outputs/retrain/.../checkpoints/best.pt
    python -m nas_reid.export checkpoint=... tracker=boxmot
    python -m nas_reid.export checkpoint=... format=torchscript l2_normalise=true hydra.run.dir=DIR

Leaves in the run folder: model.onnx (or .torchscript.pt, .pt2), model.safetensors, genotype.json, README.md (a model
card) and model.json, which states the contract and the SHA-256 of the files. ``FeatureExtractor`` and ``extract`` read
the folder.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("export")  # help needs none of the imports below

import hashlib
import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from nas_reid.config.deployment import ExportConfig
from nas_reid.config.loading import load, to_plain
from nas_reid.deploy.card import DRAWN, INTENDED_USE, UNKNOWN_DATA_LICENCE, UNKNOWN_LICENCE, model_card
from nas_reid.deploy.folder import write_folder
from nas_reid.deploy.formats import CHECKED_BATCHES, FORMATS, Deployed, check, export, onnx_versions, plain_runner
from nas_reid.deploy.inference import folded_norms
from nas_reid.deploy.measured import measured
from nas_reid.evaluation.threshold import thresholds_from
from nas_reid.files.foreign import user_path
from nas_reid.files.of_run import file_of_run
from nas_reid.files.regular import read_regular
from nas_reid.network.checkpoint import load_checkpoint
from nas_reid.network.model import ReIDNetwork
from nas_reid.network.trained import Description, to_safetensors, trained_of
from nas_reid.record.provenance import package_versions, versions
from nas_reid.run.command import command
from nas_reid.run.invocation import invocation

log = logging.getLogger("nas_reid.export")


@command("export")
def main(cfg: DictConfig) -> None:
    """Hydra's entry. The last line on standard output is model.json."""
    settings = load(cfg, ExportConfig)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    checkpoint = file_of_run(settings.checkpoint)
    state = load_checkpoint(checkpoint)
    network, description = trained_of(state, checkpoint, device=torch.device("cpu"))
    found = measured(checkpoint, user_path(settings.results) if settings.results else None)
    height, width = settings.image_size or description.image_size
    size, images = (height, width), settings.input_contract()

    # The file exists only when it computes what PyTorch computes.
    deployed = Deployed(folded_norms(network, image_size=size), l2_normalise=settings.l2_normalise, contract=images)
    content = export(deployed.eval(), name=settings.format, image_size=size, opset=settings.opset)
    difference = check(content, plain_runner(network, l2_normalise=settings.l2_normalise), name=settings.format,
                       image_size=size, tolerance=settings.tolerance, contract=images)

    # What a user of the file must know, and the files, whole or not at all.
    known = about(settings, checkpoint, state, network, description, size)
    file = f"{settings.name or (known['name'] if settings.tracker else 'model')}{FORMATS[settings.format].suffix}"
    contract = {"file": file, **known, **images.describe(size), "metrics": found,
                "onnx": onnx_versions(content) if settings.format == "onnx" else None,
                "parity": {"against": "PyTorch, the network as trained", "batches": CHECKED_BATCHES,
                           "difference": difference, "tolerance": settings.tolerance},
                "versions": versions() | package_versions("onnx", "onnxscript", "onnxruntime"),
                "config": to_plain(settings)}
    folder = invocation().folder
    whole = write_folder(folder, {file: content, "model.safetensors": to_safetensors(network, description),
                                  "genotype.json": description.genotype.to_json().encode()},
                         contract, model_card(contract))
    log.info("%s: %.1f MB, differs from PyTorch by %.1g at most", folder / file, len(content) / 1e6, difference)
    sys.stdout.write(json.dumps(whole) + "\n")


def about(settings: ExportConfig, checkpoint: Path, state: dict[str, Any], network: ReIDNetwork,
          description: Description, size: tuple[int, int]) -> dict[str, Any]:
    """The model, its embedding, thresholds and data, as plain data; ``state`` is what the checkpoint holds."""
    config = state["config"] if isinstance(state.get("config"), dict) else {}
    data = config.get("data") or {}
    name, space = str(data.get("name", "unknown")), description.genotype.space
    distance = "cosine" if settings.l2_normalise else config.get("evaluation", {}).get("distance", "euclidean")
    return {
        "name": re.sub(r"\W+", "_", f"{space}_{name}"),
        "format": settings.format, "tracker": settings.tracker, "space": space,
        "parameters": sum(tensor.numel() for key, tensor in network.named_parameters()
                          if ".classifier" not in key),
        "image_size": list(size), "embedding": network.head.out_features, "modality": "visible",
        "output": {"name": "embeddings", "dtype": "float32", "shape": ["batch", network.head.out_features],
                   "l2_normalised": settings.l2_normalise},
        "distance": distance, "thresholds": thresholds(settings, state, checkpoint, description, size),
        "data": {"name": name, "licence": settings.data_licence or (
            DRAWN if data.get("synthetic") and not data.get("root") else UNKNOWN_DATA_LICENCE)},
        "licence": settings.licence or UNKNOWN_LICENCE, "intended_use": INTENDED_USE,
        "source": {"sha256": hashlib.sha256(read_regular(checkpoint)).hexdigest(),
                   "seed": config.get("seed"), "epoch": state.get("epoch")},
    }


def thresholds(settings: ExportConfig, state: dict[str, Any], checkpoint: Path, description: Description,
               size: tuple[int, int]) -> list[dict[str, Any]]:
    """The checkpoint's thresholds that hold for the file: of embeddings of length 1 the cosine's alone."""
    kept = thresholds_from(state.get("thresholds"), origin=str(checkpoint))
    if kept and size != description.image_size:
        log.warning("the thresholds of %s are for images of %s and are left out: the file takes %s", checkpoint,
                    list(description.image_size), list(size))
        return []
    return [each.to_plain() for each in kept if each.distance == "cosine" or not settings.l2_normalise]


if __name__ == "__main__":
    main()
