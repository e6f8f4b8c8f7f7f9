"""Market-1501 (Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015), and its layout."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nas_reid.data.layout import MARKET1501, SYNTHETIC_CARD
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
    return replace(dataset, warnings=(*dataset.warnings, *_deviations(dataset)))


def _deviations(dataset: Dataset) -> Iterator[str]:
    for part, expected in OFFICIAL.items():
        samples = getattr(dataset, part)
        found = len(samples), len({sample.pid for sample in samples})
        if found != expected:
            yield (f"{part} has {found[0]:,} images of {found[1]:,} identities; official Market-1501 has "
                   f"{expected[0]:,} of {expected[1]:,}, so results do not compare with published ones")
