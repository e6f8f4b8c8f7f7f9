"""PRID 2011, single shot (Hirzer et al., Person Re-Identification by Descriptive and Discriminative Classification,
SCIA 2011)."""

import random
import re
from pathlib import Path

from nas_reid.data.readers.listing import locate, named_images
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.random_splits import check_split
from nas_reid.data.sample import Dataset, Sample
from nas_reid.errors import DataError

OFFICIAL = {"train": (200, 100), "query": (100, 100), "gallery": (649, 101)}
SHARED = 200
"""Persons 1 to 200 are the same in both cameras; above, equal numbers are different people."""
_NAME = re.compile(r"person_(\d+)")


def read_prid(root: Path, *, split: int = 0, split_seed: int = 1) -> Dataset:
    """Read one of ten random splits of PRID; camera a queries camera b. Results are means over the splits.

    Camera b's persons above 200 are distractors (pid 0), camera a's are not used.

    Args:
        root: the folder with ``cam_a`` and ``cam_b``, or a parent that holds it as ``single_shot``,
            ``prid_2011/single_shot`` or ``prid2011/prid_2011/single_shot``.
        split: 0 to 9.
        split_seed: of the splits; 1 gives those of torchreid's runs.

    Raises:
        ConfigError: an option out of range.
        DataError: folders missing or empty, or without one of the shared persons.
    """
    check_split(split, split_seed)
    base = locate("prid", root, ("cam_a", "cam_b"), inside="prid2011/prid_2011/single_shot")
    cameras = [{int(match[1]): path for path, match in named_images(base, folder, _NAME, example="person_0001.png")}
               for folder in ("cam_a", "cam_b")]
    shared = range(1, SHARED + 1)
    if absent := [pid for pid in shared if any(pid not in camera for camera in cameras)]:
        raise DataError(f"{base}: cam_a and cam_b must both have persons 1 to {SHARED}; {len(absent)} are not in both, "
                        f"the first is {absent[0]}. Is this the multi-shot version? Set data.root= to single_shot")
    generator = random.Random(split_seed)
    for _ in range(split + 1):
        training = set(generator.sample(shared, SHARED // 2))
    train = [Sample(camera[pid], pid, camid) for camid, camera in enumerate(cameras) for pid in sorted(training)]
    query = [Sample(cameras[0][pid], pid, 0) for pid in shared if pid not in training]
    gallery = [Sample(path, pid if pid in shared else 0, 1) for pid, path in cameras[1].items() if pid not in training]
    lists = Dataset("prid", base, tuple(sorted(train)), tuple(sorted(query)), tuple(sorted(gallery)))
    return compared(lists, OFFICIAL, title="PRID")
