"""Market-1501 (Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015), and its layout."""

from pathlib import Path

from nas_reid.data.layout import MARKET1501, SYNTHETIC_CARD
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.split_folders import read_split_folders
from nas_reid.data.sample import Dataset

OFFICIAL = {"train": (12_936, 751), "query": (3_368, 750), "gallery": (15_913, 751)}
"""Images and identities without junk; the gallery's identities include the distractors' id 0."""


def read_market1501(root: Path) -> Dataset:
    """Read Market-1501 and compare its counts with the official ones; a mismatch is a warning.

    A folder that carries the generator's card is not compared: it only borrows the layout.

    Args:
        root: the folder with ``bounding_box_train``, ``query`` and ``bounding_box_test``, or a parent that holds
            it as ``Market-1501-v15.09.15`` or ``market1501/Market-1501-v15.09.15``.

    Raises:
        DataError: see ``read_split_folders``.
    """
    dataset = read_split_folders(root, MARKET1501)
    if (dataset.root / SYNTHETIC_CARD).exists():
        return dataset
    return compared(dataset, OFFICIAL, title="Market-1501")
