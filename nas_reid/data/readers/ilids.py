"""QMUL i-LIDS (Zheng, Gong & Xiang, Associating Groups of People, BMVC 2009)."""

import random
import re
from pathlib import Path

from nas_reid.data.readers.listing import locate, named_images
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.random_splits import check_split
from nas_reid.data.sample import Dataset, Lists, Sample
from nas_reid.errors import DataError

OFFICIAL = {"train": (None, 59), "query": (60, 60), "gallery": (60, 60)}
_NAME = re.compile(r"(\d{4})(\d{3})")  # person, image of that person


def read_ilids(root: Path, *, split: int = 0, split_seed: int = 1) -> Dataset:
    """Read one of ten random splits of i-LIDS, single shot; results are means over the splits.

    Half of the people train with all their images; of the others a random image is the query and another one the
    gallery. The cameras are not published: the number of the image stands for them, so that none is junk.

    Args:
        root: the folder with ``Persons``, or a parent that holds it as ``i-LIDS_Pedestrian`` or
            ``ilids/i-LIDS_Pedestrian``.
        split: 0 to 9.
        split_seed: of the splits.

    Raises:
        ConfigError: an option out of range.
        DataError: the folder is missing or empty, or a person has one image only.
    """
    check_split(split, split_seed)
    base = locate("ilids", root, ("Persons",), inside="ilids/i-LIDS_Pedestrian")
    people: dict[int, list[Sample]] = {}
    for path, match in named_images(base, "Persons", _NAME, example="0001001.jpg"):
        people.setdefault(int(match[1]), []).append(Sample(path, int(match[1]), int(match[2]) - 1))
    if single := [pid for pid, images in people.items() if len(images) < 2]:
        raise DataError(f"{base / 'Persons'}: {len(single)} persons have a single image, the first is {single[0]:04d}; "
                        "a query needs another image to find. Fetch a complete copy of the data set")
    lists = Dataset("ilids", base, *_draw(people, split, random.Random(split_seed)))
    return compared(lists, OFFICIAL, title="i-LIDS")


def _draw(people: dict[int, list[Sample]], split: int, generator: random.Random) -> Lists:
    """The lists of the ``split``-th draw."""
    for _ in range(split + 1):
        order = list(people)
        generator.shuffle(order)
        half = len(order) // 2
        pairs = [generator.sample(people[pid], 2) for pid in order[half:]]
    return (tuple(sorted(sample for pid in order[:half] for sample in people[pid])),
            tuple(sorted(pair[0] for pair in pairs)), tuple(sorted(pair[1] for pair in pairs)))
