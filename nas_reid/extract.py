"""Write the features of every image in a folder.

    python -m nas_reid.extract checkpoint=outputs/retrain/.../checkpoints/best.pt images=DIR
    python -m nas_reid.extract checkpoint=outputs/export/.../model.onnx images=DIR format=safetensors

Leaves features.npz (arrays ``features`` [N, D] and ``paths`` [N], relative to the folder) or features.safetensors
(tensor ``features``; ``paths`` as JSON in its metadata) in the run folder.
"""

import io
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from safetensors.numpy import save

from nas_reid.config.deployment import MODALITIES, ExtractConfig
from nas_reid.config.loading import load
from nas_reid.data.threads import map_in_order
from nas_reid.deploy.feature_extractor import FeatureExtractor, image_files
from nas_reid.files import write_atomically
from nas_reid.files.foreign import user_path
from nas_reid.network.execution import select_device
from nas_reid.progress import progress
from nas_reid.run.command import command
from nas_reid.run.invocation import invocation

log = logging.getLogger("nas_reid.extract")


@command("extract")
def main(cfg: DictConfig) -> None:
    """Hydra's entry. The last line on standard output is a JSON object."""
    settings = load(cfg, ExtractConfig)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    folder = user_path(settings.images)
    files = image_files(folder)
    extractor = FeatureExtractor(settings.checkpoint, device=select_device(settings.device), flip=settings.flip,
                                 not_rgb=settings.not_rgb, modality=MODALITIES.index(settings.modality))
    features = extract(extractor, files, batch_size=settings.batch_size)
    path = invocation().folder / f"features.{settings.format}"
    write_atomically(path, encode(features, [file.relative_to(folder).as_posix() for file in files], settings.format))
    if extractor.converted:
        log.warning("%d of %d images were not RGB and were converted", extractor.converted, len(files))
    log.info("features of %d images: %s", len(files), path)
    summary = {"features": str(path), "images": len(files), "embedding": features.shape[1],
               "image_size": list(extractor.image_size), "converted": extractor.converted}
    sys.stdout.write(json.dumps(summary) + "\n")


def extract(extractor: FeatureExtractor, files: Sequence[Path], *, batch_size: int) -> np.ndarray:
    """Features [N, D], float32, of image files; the next batch is decoded meanwhile."""
    batches = [files[start:start + batch_size] for start in range(0, len(files), batch_size)]
    decoded = map_in_order(lambda batch: np.stack([extractor.read(file) for file in batch]), batches, workers=1,
                           window=2)
    return np.concatenate([extractor.embed(images).numpy()
                           for images in progress(decoded, description="extract", total=len(batches), unit="batch")])


def encode(features: np.ndarray, paths: Sequence[str], format: str) -> bytes:
    """The bytes of a features file, ``npz`` or ``safetensors``."""
    if format == "safetensors":
        return save({"features": features}, metadata={"paths": json.dumps(list(paths))})
    buffer = io.BytesIO()
    np.savez(buffer, features=features, paths=np.array(paths))
    return buffer.getvalue()


if __name__ == "__main__":
    main()
