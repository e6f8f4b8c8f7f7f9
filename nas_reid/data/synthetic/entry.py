"""One file of a synthetic data set, before it is drawn."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One file.

    Args:
        folder, name: where it is written, in the form of the layout.
        pid: identity as written: 0 for a distractor, -1 for junk.
        person: 1-based number in the population, 0 for background alone.
        camera, index: 0-based camera, and running number of the person's images in it.
        junk: whether the box misses its person.
    """

    folder: str
    name: str
    pid: int
    person: int
    camera: int
    index: int
    junk: bool = False
