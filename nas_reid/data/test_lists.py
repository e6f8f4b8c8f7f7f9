"""Queries and gallery for images that nobody gave such lists: of people held out, or of a table without a split."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TypeVar

import numpy as np

from nas_reid.data.places import has_no_cameras
from nas_reid.data.sample import Sample

_Key = TypeVar("_Key", int, tuple[int, int])


def as_test(samples: Sequence[Sample], rng: np.random.Generator) -> tuple[list[Sample], list[Sample]]:
    """Queries and gallery, infrared against visible where there are both.

    Of each identity, every camera contributes one image as a query and the rest to the gallery, as in Market-1501.
    Images at places of their own (see ``places``) are all in the gallery, and those whose person is at another place
    too are queries as well: each looks for the others. Distractors (pid 0) query nothing.

    Args:
        samples: the images, as ``in_order`` sorts them.
        rng: of the choice of queries, where cameras are known.

    Returns:
        Query and gallery, sorted too.
    """
    if has_both_modalities(samples):
        return [s for s in samples if s.modality and s.pid > 0], [s for s in samples if not s.modality]
    if has_no_cameras(samples):
        places: dict[int, set[int]] = defaultdict(set)
        for sample in samples:
            places[sample.pid].add(sample.camid)
        return [sample for sample in samples if sample.pid > 0 and len(places[sample.pid]) > 1], list(samples)
    query = [image for pid, images in grouped(samples, lambda sample: sample.pid).items() if pid > 0
             for image in queries_of(images, rng)]
    return in_order(query), without(samples, query)


def queries_of(images: Sequence[Sample], rng: np.random.Generator) -> list[Sample]:
    """The query images of one identity: one for each camera, or for each but one.

    Where fewer than two cameras would then have it in the gallery, its most frequent camera gives no query, so that
    every query has a match from another camera.
    """
    by_camera = grouped(images, lambda sample: sample.camid)
    if sum(len(seen) > 1 for seen in by_camera.values()) < 2:
        del by_camera[max(by_camera, key=lambda camid: len(by_camera[camid]))]
    return [seen[rng.integers(len(seen))] for seen in by_camera.values()]


def has_both_modalities(samples: Iterable[Sample]) -> bool:
    """Whether some images are visible and some infrared."""
    return len({sample.modality for sample in samples}) > 1


def grouped(samples: Iterable[Sample], key: Callable[[Sample], _Key]) -> dict[_Key, list[Sample]]:
    """Sorted samples by ``key``, sorted, so that a draw does not depend on the order in which they were given."""
    groups = defaultdict(list)
    for sample in samples:
        groups[key(sample)].append(sample)
    return dict(sorted(groups.items()))


def without(samples: Iterable[Sample], others: Iterable[Sample]) -> list[Sample]:
    """``samples`` that are none of ``others``, which are the same objects."""
    left_out = set(map(id, others))
    return [sample for sample in samples if id(sample) not in left_out]


def in_order(samples: Iterable[Sample]) -> list[Sample]:
    """Samples sorted by path, and by box within a picture: as ``sorted``, several times as fast."""
    return sorted(samples, key=attrgetter("path", "pid", "camid", "modality", "box", "sequence"))
