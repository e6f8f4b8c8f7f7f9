"""VeRi-776, vehicles (Liu et al., Large-scale Vehicle Re-identification in Urban Surveillance Videos, ICME 2016)."""

from pathlib import Path

from nas_reid.data.layout import VERI
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.split_folders import read_split_folders
from nas_reid.data.sample import Dataset

OFFICIAL = {"train": (37_778, None), "query": (1_678, None), "gallery": (11_579, None)}


def read_veri(root: Path) -> Dataset:
    """Read VeRi by its images, evaluated as Market-1501; the authors' image-to-track protocol is not offered.

    Args:
        root: the folder with ``image_train``, ``image_query`` and ``image_test``, or its parent (``veri``, ``VeRi``).

    Raises:
        DataError: see ``read_split_folders``.
    """
    return compared(read_split_folders(root, VERI), OFFICIAL, title="VeRi-776")
