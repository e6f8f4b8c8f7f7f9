"""Write the features of every image in a folder.

    python -m nas_reid.extract checkpoint=outputs/retrain/.../checkpoints/best.pt images=DIR
    python -m nas_reid.extract checkpoint=outputs/export/... images=DIR format=safetensors

Leaves features.npz (arrays ``features`` [N, D] and ``paths`` [N], relative to the folder) or features.safetensors
(tensor ``features``; ``paths`` as JSON in its metadata) in the run folder.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("extract")  # help needs none of the imports below

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from nas_reid.backbones.modality import MODALITIES
from nas_reid.config.deployment import ExtractConfig
from nas_reid.config.loading import load
from nas_reid.data.readers.listing import some
from nas_reid.data.store import unreadable
from nas_reid.data.threads import map_in_order
from nas_reid.deploy.feature_extractor import FeatureExtractor, image_files
from nas_reid.deploy.features_file import ENCODINGS
from nas_reid.errors import DataError
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
                                 not_rgb=settings.not_rgb, modality=MODALITIES.index(settings.modality),
                                 runtime=settings.runtime)
    features, paths, failures = extract(extractor, folder, files, batch_size=settings.batch_size)
    if failures and (settings.on_corrupt == "error" or not paths):
        raise DataError(unreadable(failures, len(files), folder, keys=("images", "on_corrupt")))
    path = invocation().folder / f"features.{settings.format}"
    write_atomically(path, ENCODINGS[settings.format](features, paths))
    if failures:
        log.warning("left out %d of %d images, which cannot be read: %s", len(failures), len(files), some(failures))
    if extractor.converted:
        log.warning("%d of %d images were not RGB and were converted", extractor.converted, len(files))
    log.info("features of %d images: %s", len(paths), path)
    summary = {"features": str(path), "images": len(paths), "skipped": len(failures), "embedding": features.shape[1],
               "image_size": list(extractor.image_size), "runtime": extractor.runtime, "converted": extractor.converted}
    sys.stdout.write(json.dumps(summary) + "\n")


def extract(extractor: FeatureExtractor, folder: Path, files: Sequence[Path], *,
            batch_size: int) -> tuple[np.ndarray, list[str], list[str]]:
    """Features of image files; the next batch is decoded meanwhile.

    Args:
        extractor: see there.
        folder: of the files.
        files: below ``folder``.
        batch_size: images that go through the network at once.

    Returns:
        Features [N, D], float32, of the N files that can be read; their paths below the folder; and of each other file
        its path and why.
    """
    def read(batch: Sequence[Path]) -> tuple[list[np.ndarray], list[str], list[str]]:
        images, paths, failures = [], [], []
        for file in batch:
            name = file.relative_to(folder).as_posix()
            try:
                images.append(extractor.read(file))
                paths.append(name)
            except DataError as error:
                failures.append(f"{name}: {error}")
        return images, paths, failures

    batches = [files[start:start + batch_size] for start in range(0, len(files), batch_size)]
    decoded = map_in_order(read, batches, workers=1, window=2)
    features, kept, lost = [], [], []
    for images, paths, failures in progress(decoded, description="extract", total=len(batches), unit="batch"):
        if images:
            features.append(extractor.embed(np.stack(images), names=paths).numpy())
        kept += paths
        lost += failures
    return np.concatenate(features) if features else np.empty((0, 0), np.float32), kept, lost


if __name__ == "__main__":
    main()
