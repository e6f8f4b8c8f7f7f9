"""What the people and cameras of a data set are called, in tables and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nas_reid.data.places import OWN_PLACE


@dataclass(frozen=True)
class Naming:
    """Names of identities and cameras, as far as a data set has any: numbers otherwise.

    Args:
        first_camera: the number that the camera of camid 0 has in the names of the files.
        people: identity -> what the data set calls it; empty where that is its number.
        cameras: number of a camera, counted from ``first_camera`` -> what the data set calls it; empty likewise.
    """

    first_camera: int = 1
    people: Mapping[int, str] = field(default_factory=dict)
    cameras: Mapping[int, str] = field(default_factory=dict)

    def number(self, camid: int) -> int | None:
        """Number of a camera; None where there is none (``places.OWN_PLACE``)."""
        return None if camid >= OWN_PLACE else camid + self.first_camera

    def camera(self, camid: int) -> int | str | None:
        """Name of a camera, or its number."""
        number = self.number(camid)
        return None if number is None else self.cameras.get(number, number)
