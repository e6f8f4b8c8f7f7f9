"""Comparing what was read with the published counts of a data set."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nas_reid.data.sample import Dataset

Counts = Mapping[str, tuple[int | None, int | None]]
"""Name of a list -> its images (None where these vary with the split) and identities (None where sources disagree);
distractors count as one."""


def compared(dataset: Dataset, official: Counts, *, title: str) -> Dataset:
    """The data set with a warning for every list whose counts are not those of the official ``title``."""
    return replace(dataset, warnings=(*dataset.warnings, *_deviations(dataset, official, title)))


def _deviations(dataset: Dataset, official: Counts, title: str) -> Iterator[str]:
    for part, (images, identities) in official.items():
        samples = getattr(dataset, part)
        found = len(samples), len({sample.pid for sample in samples})
        official_counts = tuple(own if count is None else count for own, count in zip(found, (images, identities),
                                                                                      strict=True))
        if found != official_counts:
            expected = (f"{identities:,} identities" if images is None else
                        f"{images:,}" if identities is None else f"{images:,} of {identities:,}")
            yield (f"{part} has {found[0]:,} images of {found[1]:,} identities; official {title} has {expected}, "
                   "so results do not compare with published ones")
