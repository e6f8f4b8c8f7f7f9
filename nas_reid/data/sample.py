"""One image of a re-ID data set, and the three lists a data set consists of."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas_reid.data.trial import Trial
from nas_reid.errors import DataError

Box = tuple[int, int, int, int] | tuple[()]
"""Left, upper, right and lower edge in pixels of the upright picture, the latter two exclusive; empty: all of it."""


@dataclass(frozen=True, order=True, slots=True)
class Sample:
    """One image on disk, or a part of one.

    Args:
        path: POSIX path relative to the data set's root, so that moving the root breaks nothing.
        pid: person identity as the data set numbers it; 0 is a distractor, -1 (junk) never gets this far.
        camid: camera, counted from 0; tables and pictures add ``Dataset.first_camera``. From ``places.OWN_PLACE`` on
            it is no camera: see there.
        modality: 0 visible, 1 infrared.
        box: which part of the picture.
        sequence: number of the track or burst that the image belongs to, or -1; see ``places``.
    """

    path: str
    pid: int
    camid: int
    modality: int = 0
    box: Box = ()
    sequence: int = -1

    @property
    def name(self) -> str:
        """What tells this image from all others: its path, and the part of the picture (W3C Media Fragments)."""
        if not self.box:
            return self.path
        left, top, right, bottom = self.box
        return f"{self.path}#xywh={left},{top},{right - left},{bottom - top}"


@dataclass(frozen=True)
class MadeSplit:
    """A split that a reader had to make.

    Args:
        says: from which seed, and what came of it.
        write: writes it to a file, from which the same lists are read again.
    """

    says: str
    write: Callable[[Path], None]


@dataclass(frozen=True)
class Dataset:
    """The lists a reader returns. Sorted by path; a distractor (pid 0) appears in ``gallery`` only.

    Args:
        name: the reader's name, for messages and records.
        root: folder that all sample paths are relative to.
        train, query, gallery: the samples; ``train`` is empty for test-only sets, the others for train-only sets.
        warnings: what the reader noticed (for example counts that differ from the official ones).
        trials: what the protocol ranks, where that is not all of ``query`` against all of ``gallery``, which then are
            the unions over the trials. The same list may be both: its images are then embedded once.
        validation_pids: those training identities that the authors of the data set meant for validation.
        first_camera: the number that the camera of camid 0 has in the names of the files.
        names: identity -> what the data set calls it, where that is not its number.
        camera_names: number of a camera, counted from ``first_camera`` -> what the data set calls it; empty where that
            is its number.
        made_split: how the lists came about where the data set has none of its own.

    Raises:
        DataError: an image is twice in one list, or in two of them as another person or from another camera.
    """

    name: str
    root: Path
    train: tuple[Sample, ...]
    query: tuple[Sample, ...]
    gallery: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
    validation_pids: frozenset[int] = frozenset()
    first_camera: int = 1
    names: Mapping[int, str] = field(default_factory=dict)
    camera_names: Mapping[int, str] = field(default_factory=dict)
    made_split: MadeSplit | None = None

    def __post_init__(self) -> None:
        lists = {"training": self.train, "query": self.query, "gallery": self.gallery}
        where = f"{self.name} in {self.root}"
        for name, samples in lists.items():
            require_once(samples, where=f"the {name} list of {where}", first_camera=self.first_camera)
        once = {(sample.path, sample.box) for samples in lists.values() for sample in samples}
        if len(once) < sum(map(len, lists.values())):  # an image may be in two lists, as the same person
            require_once(tuple({sample for samples in lists.values() for sample in samples}),
                         where=f"the lists of {where}", first_camera=self.first_camera)


def require_once(samples: Sequence[Sample], *, where: str, first_camera: int = 1) -> None:
    """Check that no image occurs twice: its pixels would be there once, and one of its identities would be lost.

    Args:
        samples: of a list.
        where: the list, for the message.
        first_camera: see ``Dataset``, for the message.

    Raises:
        DataError: one does; the message names both entries.
    """
    if len({(sample.path, sample.box) for sample in samples}) == len(samples):
        return
    entries: dict[str, list[Sample]] = {}
    for sample in samples:
        entries.setdefault(sample.name, []).append(sample)
    twice = sorted(path for path, found in entries.items() if len(found) > 1)
    one, other = (f"pid {sample.pid} from camera {sample.camid + first_camera}"
                  for sample in sorted(entries[twice[0]])[:2])
    raise DataError(f"{where}: {len(twice):,} images are listed twice, such as {twice[0]}, as {one} and as {other}; "
                    "leave one of the entries")


Lists = tuple[tuple[Sample, ...], tuple[Sample, ...], tuple[Sample, ...]]
"""Training, query and gallery list."""


def label_map(samples: Sequence[Sample]) -> dict[int, int]:
    """Classifier label 0..N-1 of each pid, in increasing pid order (the same on every machine and run)."""
    return {pid: label for label, pid in enumerate(sorted({sample.pid for sample in samples}))}


def identity_digest(samples: Sequence[Sample], labels: Mapping[int, int], *, drawn: Mapping[str, Any] | None) -> str:
    """Who the classes of a classifier are, as a digest: equal where their images have the same names.

    Args:
        samples: all training images, those held out included.
        labels: pid -> class.
        drawn: how synthetic images were drawn; None for others.
    """
    names: list[list[str]] = [[] for _ in labels]
    for sample in samples:
        if sample.pid in labels:
            names[labels[sample.pid]].append(sample.name.rpartition("/")[2])
    text = json.dumps([drawn, [sorted(each) for each in names]], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
