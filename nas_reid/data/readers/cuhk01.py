"""CUHK01 (Li, Zhao & Wang, Human Reidentification with Transferred Metric Learning, ACCV 2012)."""

import re
from pathlib import Path

from nas_reid.data.readers.listing import locate, named_images
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.random_splits import halve
from nas_reid.data.sample import Dataset, Sample

OFFICIAL = {"train": (1_940, 485), "query": (972, 486), "gallery": (972, 486)}
_NAME = re.compile(r"(\d{4})(\d{3})")  # person, image: 1 and 2 are camera a's, 3 and 4 camera b's


def read_cuhk01(root: Path, *, split: int = 0, direction: str = "a_to_b", split_seed: int = 1) -> Dataset:
    """Read one of ten random splits of CUHK01, multi-shot; results are means over the splits and both directions.

    Args:
        root: the folder with ``campus``, which is what ``CUHK01.zip`` unpacks to, or its parent (``cuhk01/campus``).
        split: 0 to 9.
        direction: ``a_to_b`` queries with camera a; or ``b_to_a``.
        split_seed: of the splits; 1 gives those of torchreid's runs.

    Raises:
        ConfigError: an option out of range.
        DataError: the folder is missing or empty, or a camera lacks somebody.
    """
    base = locate("cuhk01", root, ("campus",), inside="cuhk01")
    samples = [Sample(path, int(match[1]), (int(match[2]) - 1) // 2)
               for path, match in named_images(base, "campus", _NAME, example="0001001.png")]
    lists = halve(samples, split=split, split_seed=split_seed, direction=direction)
    return compared(Dataset("cuhk01", base, *lists), OFFICIAL, title="CUHK01")
