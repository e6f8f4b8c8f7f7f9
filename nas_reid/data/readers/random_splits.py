"""The random splits of small data sets without official ones: half of the people for training, half for testing.

The k-th split is the k-th draw of one generator, as in torchreid, whose runs started with seed 1: the same seed gives
the same splits here. The generators are the frozen legacy ones of NumPy and Python, so a split is a fact that stays.
"""

from collections.abc import Sequence

import numpy as np

from nas_reid.data.readers.options import SEEDS, check_option
from nas_reid.data.sample import Lists, Sample
from nas_reid.errors import DataError, some

NUM_SPLITS = 10
DIRECTIONS = ("a_to_b", "b_to_a")
"""Which camera's images are the queries, and which the gallery."""


def check_split(split: int, split_seed: int) -> None:
    """Refuse a split beyond ``NUM_SPLITS`` and a seed out of range.

    Raises:
        ConfigError: with the known values.
    """
    check_option("split", split, range(NUM_SPLITS))
    check_option("split_seed", split_seed, SEEDS)


def halve(samples: Sequence[Sample], *, split: int, split_seed: int, direction: str) -> Lists:
    """Train, query and gallery of people whom both of two cameras saw.

    Args:
        samples: images of cameras 0 and 1.
        split: number of the split, from 0.
        split_seed: of the generator.
        direction: a name in ``DIRECTIONS``.

    Raises:
        ConfigError: see ``check_split``; unknown direction.
        DataError: somebody is missing in one camera.
    """
    check_split(split, split_seed)
    check_option("direction", direction, DIRECTIONS)
    seen = [{sample.pid for sample in samples if sample.camid == camid} for camid in (0, 1)]
    if missing := sorted(seen[0] ^ seen[1]):
        raise DataError(f"{len(missing)} people were seen by one of the two cameras only, so they have no match: "
                        f"pids {some([str(pid) for pid in missing])}; fetch a complete copy of the data set")
    pids = sorted(seen[0])
    generator = np.random.RandomState(split_seed)
    for _ in range(split + 1):
        order = np.arange(len(pids))
        generator.shuffle(order)
    training = {pids[i] for i in order[:len(pids) // 2]}
    test = [tuple(sorted(s for s in samples if s.pid not in training and s.camid == camid)) for camid in (0, 1)]
    query, gallery = test if direction == "a_to_b" else reversed(test)
    return tuple(sorted(s for s in samples if s.pid in training)), query, gallery
