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

import torch
from omegaconf import DictConfig

from nas_reid.backbones.modality import MODALITIES
from nas_reid.config.deployment import ExtractConfig
from nas_reid.config.loading import load
from nas_reid.data.readers.listing import some
from nas_reid.data.store import unreadable
from nas_reid.deploy.feature_extractor import FeatureExtractor, image_files
from nas_reid.deploy.features_file import ENCODINGS
from nas_reid.deploy.gallery import folder_features
from nas_reid.errors import DataError
from nas_reid.files import write_atomically
from nas_reid.files.foreign import user_path
from nas_reid.network.execution import select_device
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
    found = folder_features(extractor, folder, files, batch_size=settings.batch_size)
    features, paths, failures = found.features, found.paths, found.failures
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


if __name__ == "__main__":
    main()
