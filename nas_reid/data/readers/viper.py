"""VIPeR (Gray, Brennan & Tao, Evaluating Appearance Models for Recognition, Reacquisition, and Tracking, 2007)."""

import re
from pathlib import Path

from nas_reid.data.readers.listing import locate, named_images
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.random_splits import halve
from nas_reid.data.sample import Dataset, Sample

OFFICIAL = {"train": (632, 316), "query": (316, 316), "gallery": (316, 316)}
_NAME = re.compile(r"(\d+)_")  # {id}_{angle}.bmp


def read_viper(root: Path, *, split: int = 0, direction: str = "a_to_b", split_seed: int = 1) -> Dataset:
    """Read one of ten random splits of VIPeR; results are means over the splits and both directions.

    People are numbered from 1, one more than in the file names.

    Args:
        root: the folder with ``cam_a`` and ``cam_b``, or a parent that holds it as ``VIPeR`` or ``viper/VIPeR``.
        split: 0 to 9.
        direction: ``a_to_b`` queries with camera a; or ``b_to_a``.
        split_seed: of the splits; 1 gives those of torchreid's runs.

    Raises:
        ConfigError: an option out of range.
        DataError: folders missing or empty, or somebody is in one of them only.
    """
    base = locate("viper", root, ("cam_a", "cam_b"), inside="viper/VIPeR")
    samples = [Sample(path, int(match[1]) + 1, camid) for camid, folder in enumerate(("cam_a", "cam_b"))
               for path, match in named_images(base, folder, _NAME, example="000_45.bmp")]
    lists = halve(samples, split=split, split_seed=split_seed, direction=direction)
    return compared(Dataset("viper", base, *lists), OFFICIAL, title="VIPeR")
