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
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from nas_reid.backbones.modality import MODALITIES
from nas_reid.config.deployment import ExtractConfig
from nas_reid.config.loading import load
from nas_reid.deploy.feature_extractor import FeatureExtractor, image_files
from nas_reid.deploy.features_file import ENCODINGS
from nas_reid.deploy.gallery import folder_features, require_readable
from nas_reid.files import write_atomically
from nas_reid.files.foreign import user_path
from nas_reid.network.execution import select_device
from nas_reid.parallel.processes import is_main
from nas_reid.parallel.tensors import join, own_part
from nas_reid.parallel.turns import everyones
from nas_reid.run.command import command
from nas_reid.run.invocation import invocation

log = logging.getLogger("nas_reid.extract")


@command("extract", several=True)
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
    converted = sum(everyones(extractor.converted))
    require_readable(failures, files, folder, key="images", on_corrupt=settings.on_corrupt)
    if not is_main():
        return
    path = invocation().folder / f"features.{settings.format}"
    write_atomically(path, ENCODINGS[settings.format](features, paths))
    if converted:
        log.warning("%d of %d images were not RGB and were converted", converted, len(files))
    log.info("features of %d images: %s", len(paths), path)
    summary = {"features": str(path), "images": len(paths), "skipped": len(failures), "embedding": features.shape[1],
               "image_size": list(extractor.image_size), "runtime": extractor.runtime, "converted": converted}
    sys.stdout.write(json.dumps(summary) + "\n")


def extract(extractor: FeatureExtractor, folder: Path, files: Sequence[Path], *,
            batch_size: int) -> tuple[np.ndarray, list[str], list[str]]:
    """Features [N, D] of the files that can be read, their paths, and of each other file its path and why.

    Of several processes each takes some of the batches, and all get what all found. Arguments as of
    ``folder_features``.
    """
    batches = own_part([files[start:start + batch_size] for start in range(0, len(files), batch_size)])
    found = folder_features(extractor, folder, list(chain(*batches)), batch_size=batch_size)
    features = join(torch.from_numpy(found.features) if found.paths else None)
    paths, failures = (list(chain(*everyones(own))) for own in (found.paths, found.failures))
    return np.empty((0, 0), np.float32) if features is None else features.numpy(), paths, failures


if __name__ == "__main__":
    main()
