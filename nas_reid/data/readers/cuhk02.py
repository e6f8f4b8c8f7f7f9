"""CUHK02 (Li & Wang, Locally Aligned Feature Transforms across Views, CVPR 2013)."""

import re
from itertools import chain
from pathlib import Path

from nas_reid.data.readers.listing import locate, named_images
from nas_reid.data.readers.official import compared
from nas_reid.data.sample import Dataset, Sample

OFFICIAL = {"train": (None, 1_577), "query": (None, 239), "gallery": (None, 239)}
_PAIRS = ("P1", "P2", "P3", "P4", "P5")
_IDS_PER_PAIR = 10_000  # person 12 of P3 is 30012: the numbers start anew in every pair of cameras
_NAME = re.compile(r"(\d+)_")


def read_cuhk02(root: Path) -> Dataset:
    """Read CUHK02: the camera pairs P1 to P4 train, in P5 the first camera queries the second.

    Args:
        root: the folder with ``P1`` to ``P5``, or a parent that holds it as ``Dataset`` or ``cuhk02/Dataset``.

    Raises:
        DataError: folders missing or empty.
    """
    base = locate("cuhk02", root, _PAIRS, inside="cuhk02/Dataset")
    cameras = [[Sample(path, pair * _IDS_PER_PAIR + int(match[1]), 2 * (pair - 1) + camera - 1) for path, match in
                named_images(base, f"P{pair}/cam{camera}", _NAME, example="001_01.png")]
               for pair in range(1, len(_PAIRS) + 1) for camera in (1, 2)]
    *training, query, gallery = cameras
    lists = Dataset("cuhk02", base, tuple(sorted(chain(*training))), tuple(query), tuple(gallery))
    return compared(lists, OFFICIAL, title="CUHK02")
