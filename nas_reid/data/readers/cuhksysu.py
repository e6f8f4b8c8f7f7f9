"""CUHK-SYSU cropped to its people, for training only (Xiao et al., Joint Detection and Identification Feature Learning
for Person Search, CVPR 2017)."""

import re
from pathlib import Path

from nas_reid.data.readers.listing import locate, named_images
from nas_reid.data.readers.official import compared
from nas_reid.data.sample import Dataset, Sample

OFFICIAL = {"train": (34_574, 11_934)}
_NAME = re.compile(r"p(\d+)_")


def read_cuhksysu(root: Path) -> Dataset:
    """Read CUHK-SYSU. The cameras are unknown: all are 0. People are numbered one higher than in the file names.

    Args:
        root: the folder with ``cropped_images``, or its parent (``cuhksysu/cropped_images``).

    Raises:
        DataError: the folder is missing or empty.
    """
    base = locate("cuhksysu", root, ("cropped_images",), inside="cuhksysu")
    train = tuple(Sample(path, int(match[1]) + 1, 0)
                  for path, match in named_images(base, "cropped_images", _NAME, example="p11422_s16929_1.jpg"))
    return compared(Dataset("cuhksysu", base, train, (), ()), OFFICIAL, title="CUHK-SYSU")
