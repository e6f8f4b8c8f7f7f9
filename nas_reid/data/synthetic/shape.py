"""Shapes as signed distances in body coordinates: y runs from 0 (crown) to 1 (soles), x is lateral."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np


class Surface(NamedTuple):
    """A shape sampled at points.

    Args:
        distance: signed distance to the outline in body heights, negative inside.
        u: position across the shape, -1 at one edge and 1 at the other (for shading).
        s, t: coordinates across and along, in body heights (for patterns).
    """

    distance: np.ndarray
    u: np.ndarray
    s: np.ndarray
    t: np.ndarray


class Shape(Protocol):
    """An outline that can be sampled anywhere."""

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in body heights."""

    def sample(self, x: np.ndarray, y: np.ndarray) -> Surface:
        """The surface at columns ``x`` [1, w] and rows ``y`` [h, 1]."""


@dataclass(frozen=True)
class Profile:
    """A vertical shape given by its half-width and centre at some heights: torso, skirt, hair.

    Args:
        points: (y, centre, half-width) with increasing y.
    """

    points: Sequence[tuple[float, float, float]]

    def bounds(self) -> tuple[float, float, float, float]:
        """See ``Shape``."""
        return (min(c - w for _, c, w in self.points), self.points[0][0],
                max(c + w for _, c, w in self.points), self.points[-1][0])

    def sample(self, x: np.ndarray, y: np.ndarray) -> Surface:
        """See ``Shape``."""
        heights, centres, widths = np.asarray(self.points, np.float32).T
        offset = x - np.interp(y, heights, centres).astype(np.float32)
        width = np.maximum(np.interp(y, heights, widths).astype(np.float32), 1e-4)
        distance = np.maximum(np.abs(offset) - width, np.maximum(heights[0] - y, y - heights[-1]))
        return Surface(distance, np.clip(offset / width, -1, 1), offset, y + 0 * offset)


@dataclass(frozen=True)
class Limb:
    """A chain of joints with a radius at each: arm, leg, strap.

    Args:
        joints: (x, y, radius) from root to tip.
        flat: whether the tip is cut off straight (a hem) instead of rounded.
    """

    joints: Sequence[tuple[float, float, float]]
    flat: bool = False

    def bounds(self) -> tuple[float, float, float, float]:
        """See ``Shape``."""
        return (min(x - r for x, _, r in self.joints), min(y - r for _, y, r in self.joints),
                max(x + r for x, _, r in self.joints), max(y + r for _, y, r in self.joints))

    def sample(self, x: np.ndarray, y: np.ndarray) -> Surface:
        """See ``Shape``."""
        parts, start, beyond = [], 0.0, np.zeros(())
        for (ax, ay, ar), (bx, by, br) in zip(self.joints[:-1], self.joints[1:], strict=True):
            dx, dy = bx - ax, by - ay
            length = max(float(np.hypot(dx, dy)), 1e-5)
            along = ((x - ax) * dx + (y - ay) * dy) / length**2
            beyond = (along - 1.0) * length
            along = np.clip(along, 0, 1)
            radius = ar + along * (br - ar)
            px, py = x - ax - along * dx, y - ay - along * dy
            across = (px * dy - py * dx) / length
            parts.append(Surface(np.sqrt(px * px + py * py) - radius, np.clip(across / radius, -1, 1), across,
                                 start + along * length))
            start += length
        result = parts[0]
        for part in parts[1:]:
            nearer = part.distance < result.distance
            result = Surface(*(np.where(nearer, b, a) for a, b in zip(result, part, strict=True)))
        return result._replace(distance=np.maximum(result.distance, beyond)) if self.flat else result


@dataclass(frozen=True)
class Ellipse:
    """An axis-parallel ellipse.

    Args:
        x, y: centre.
        rx, ry: half-axes.
    """

    x: float
    y: float
    rx: float
    ry: float

    def bounds(self) -> tuple[float, float, float, float]:
        """See ``Shape``."""
        return self.x - self.rx, self.y - self.ry, self.x + self.rx, self.y + self.ry

    def sample(self, x: np.ndarray, y: np.ndarray) -> Surface:
        """See ``Shape``."""
        dx, dy = x - self.x, y - self.y
        norm = np.sqrt((dx / self.rx) ** 2 + (dy / self.ry) ** 2)
        distance = (norm - 1.0) * min(self.rx, self.ry)
        return Surface(distance, np.clip(dx / self.rx, -1, 1) + 0 * dy, dx + 0 * dy, dy + 0 * dx)


@dataclass(frozen=True)
class Box:
    """An axis-parallel rectangle with rounded corners.

    Args:
        x, y: centre.
        rx, ry: half-sizes.
        corner: radius of the corners.
    """

    x: float
    y: float
    rx: float
    ry: float
    corner: float = 0.0

    def bounds(self) -> tuple[float, float, float, float]:
        """See ``Shape``."""
        return self.x - self.rx, self.y - self.ry, self.x + self.rx, self.y + self.ry

    def sample(self, x: np.ndarray, y: np.ndarray) -> Surface:
        """See ``Shape``."""
        dx, dy = x - self.x, y - self.y
        corner = min(self.corner, self.rx, self.ry)
        qx, qy = np.abs(dx) - (self.rx - corner), np.abs(dy) - (self.ry - corner)
        outside = np.sqrt(np.maximum(qx, 0) ** 2 + np.maximum(qy, 0) ** 2)
        distance = outside + np.minimum(np.maximum(qx, qy), 0) - corner
        return Surface(distance, np.clip(dx / self.rx, -1, 1) + 0 * dy, dx + 0 * dy, dy + 0 * dx)
