"""Export a trained network: ONNX, TorchScript or an exported program, checked against PyTorch before it is written.

    python -m nas_reid.export checkpoint=outputs/retrain/.../checkpoints/best.pt
    python -m nas_reid.export checkpoint=... format=torchscript l2_normalise=true hydra.run.dir=DIR

Leaves model.onnx (or .torchscript.pt, .pt2) and model.json, which states the contract, in the run folder.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("export")  # help needs none of the imports below

import json
import logging
import sys
from typing import Any

import torch
from omegaconf import DictConfig

from nas_reid.config.deployment import ExportConfig
from nas_reid.config.loading import load, to_plain
from nas_reid.data.normalise import IMAGENET_MEAN, IMAGENET_STD
from nas_reid.deploy.formats import CHECKED_BATCHES, FORMATS, Deployed, check, export, plain_runner
from nas_reid.deploy.inference import folded_norms
from nas_reid.errors import ExportError
from nas_reid.files import write_atomically
from nas_reid.files.foreign import user_path
from nas_reid.network.trained import load_trained
from nas_reid.record.provenance import package_versions, versions
from nas_reid.run.command import command
from nas_reid.run.invocation import invocation

log = logging.getLogger("nas_reid.export")


@command("export")
def main(cfg: DictConfig) -> None:
    """Hydra's entry. The last line on standard output is the sidecar as JSON."""
    settings = load(cfg, ExportConfig)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    network, description = load_trained(user_path(settings.checkpoint), device=torch.device("cpu"))
    height, width = settings.image_size or description.image_size
    size = (height, width)
    answers = {"l2_normalise": settings.l2_normalise}

    # The file exists only when it computes what PyTorch computes.
    deployed = Deployed(folded_norms(network, image_size=size), **answers).eval()
    content = export(deployed, name=settings.format, image_size=size)
    difference = check(content, plain_runner(network, **answers), name=settings.format, image_size=size,
                       tolerance=settings.tolerance)
    path = invocation().folder / f"model{FORMATS[settings.format].suffix}"
    sidecar = contract(settings, size, network.head.out_features, difference) | {"file": path.name}
    try:
        write_atomically(path, content)
        write_atomically(path.with_name("model.json"), (json.dumps(sidecar, indent=2) + "\n").encode())
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}; choose another folder with hydra.run.dir=") from None
    log.info("%s: %.1f MB, differs from PyTorch by %.1g at most", path, len(content) / 1e6, difference)
    sys.stdout.write(json.dumps(sidecar) + "\n")


def contract(settings: ExportConfig, size: tuple[int, int], embedding: int, difference: float) -> dict[str, Any]:
    """What a user of the file must know, as plain data."""
    return {
        "format": settings.format,
        "input": {"name": "images", "dtype": "float32", "shape": ["batch", 3, *size], "channels": "RGB",
                  "range": [0, 255], "resize": "bilinear with antialiasing (Pillow), without keeping the aspect ratio"},
        "output": {"name": "embeddings", "dtype": "float32", "shape": ["batch", embedding],
                   "l2_normalised": settings.l2_normalise},
        "image_size": list(size), "embedding": embedding, "modality": "visible",
        "normalisation": {"inside": True, "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "of": "images / 255"},
        "distance": "cosine or euclidean, alike" if settings.l2_normalise else "as in training: euclidean or cosine",
        "parity": {"against": "PyTorch, the network as trained", "batches": CHECKED_BATCHES, "difference": difference,
                   "tolerance": settings.tolerance},
        "versions": versions() | package_versions("onnx", "onnxscript", "onnxruntime"),
        "config": to_plain(settings),
    }


if __name__ == "__main__":
    main()
