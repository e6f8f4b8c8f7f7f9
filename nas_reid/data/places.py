"""Whether images of a person from the query's own camera count, and what stands for cameras that nobody knows.

The usual protocol removes a person's images from the query's own camera. Where cameras are unknown, or where they are
allowed to be the same, every other image of the person is a match: each image is then a *place* of its own, and so is
each sequence (track, burst), whose images hardly differ. Open-metric-learning evaluates this way.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.trial import Trial
from nas_reid.errors import ConfigError

OWN_PLACE = 2**62
"""A ``Sample.camid`` from here on is no camera: it is the number of a place."""

PROTOCOLS = ("same_camera_removed", "same_camera_allowed")
"""What ``evaluation.protocol`` may be; null is the data set's own."""
ALLOWED = "same camera allowed"
"""Name of the trial under ``same_camera_allowed``."""


def has_no_cameras(samples: Iterable[Sample]) -> bool:
    """Whether any of the images is at a place of its own rather than in front of a camera."""
    return any(sample.camid >= OWN_PLACE for sample in samples)


def at_own_places(samples: Sequence[Sample]) -> dict[Sample, Sample]:
    """Each of the images -> the same at a place of its own, or at that of its sequence; equal images stay equal."""
    sequences = {number: place for place, number in enumerate(sorted({s.sequence for s in samples} - {-1}))}
    ordered = sorted(set(samples), key=lambda sample: sample.name)
    first = OWN_PLACE + len(sequences)
    return {sample: replace(sample, camid=first + row if sample.sequence < 0 else
                            OWN_PLACE + sequences[sample.sequence]) for row, sample in enumerate(ordered)}


def under_protocol(dataset: Dataset, protocol: str | None) -> Dataset:
    """The data set as ``evaluation.protocol`` wants it evaluated.

    Args:
        dataset: as its reader gave it.
        protocol: a name in ``PROTOCOLS``, or None for the data set's own.

    Raises:
        ConfigError: unknown protocol, or one that the data set cannot be evaluated by.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise ConfigError(f"evaluation.protocol={protocol} is unknown; choose one of {', '.join(PROTOCOLS)}, or "
                          "null for the data set's own")
    samples = (*dataset.train, *dataset.query, *dataset.gallery)
    if protocol is None or not samples:
        return dataset
    if has_no_cameras(samples):
        if protocol == "same_camera_removed":
            raise ConfigError(f"evaluation.protocol=same_camera_removed: {dataset.name} in {dataset.root} names no "
                              "cameras; leave it null, or give the table a column camid")
        return dataset
    if protocol == "same_camera_removed":
        return dataset
    if odd := sorted({trial.junk for trial in dataset.trials} - {"same_camera", "same_camera_allowed"}):
        raise ConfigError(f"evaluation.protocol=same_camera_allowed does not go with {dataset.name}, whose own "
                          f"protocol has the rule {odd[0]}; leave it null")
    return allow_same_camera(dataset, samples)


def allow_same_camera(dataset: Dataset, samples: Sequence[Sample]) -> Dataset:
    """The data set with its images at places of their own, and trials that let all other images count."""
    at_place = at_own_places(samples)
    train, query, gallery = (tuple(at_place[sample] for sample in part)
                             for part in (dataset.train, dataset.query, dataset.gallery))
    if dataset.made_split and not query:  # nobody was seen by two cameras: as where cameras are unknown
        seen = Counter(sample.pid for sample in {sample.camid: sample for sample in gallery}.values())
        query = tuple(sample for sample in gallery if sample.pid > 0 and seen[sample.pid] > 1)
    if dataset.trials:
        return replace(dataset, train=train, query=query, gallery=gallery, trials=tuple(
            replace(trial, junk="same_camera_allowed") for trial in dataset.trials))
    return with_lists(replace(dataset, train=train, query=(), gallery=()), query, gallery)


def with_lists(dataset: Dataset, query: Sequence[Sample], gallery: Sequence[Sample]) -> Dataset:
    """The data set with lists that may share images, which are then decoded and embedded once.

    Args:
        dataset: its own lists are replaced.
        query, gallery: sorted; at places of their own, or seen by cameras.
    """
    allowed = has_no_cameras((*query, *gallery))
    shared = not set(query).isdisjoint(gallery)
    if not (allowed or shared) or not query or not gallery:
        return replace(dataset, query=tuple(query), gallery=tuple(gallery))
    both = (tuple(query), tuple(gallery))
    if shared:
        together = tuple(sorted({*query, *gallery}, key=lambda sample: sample.name))
        both = (together, together)
    rows = [{sample: row for row, sample in enumerate(part)} for part in both]
    trial = Trial(ALLOWED if allowed else "query against gallery",
                  tuple(rows[0][sample] for sample in query), tuple(rows[1][sample] for sample in gallery),
                  junk="same_camera_allowed" if allowed else "same_camera")
    return replace(dataset, query=both[0], gallery=both[1], trials=(trial,))
