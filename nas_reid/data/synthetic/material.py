"""What a surface looks like in visible light: a colour, and a pattern in a second colour."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[float, float, float]


def as_colour(values: Iterable[float]) -> Colour:
    """Three numbers as a colour."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue


@dataclass(frozen=True)
class Material:
    """The surface of one kind of part.

    Args:
        colour, second: RGB in 0..1; ``second`` is the pattern's colour.
        pattern: a name in ``PATTERNS``.
        period: the pattern's period in body heights.
    """

    colour: Colour
    second: Colour = (0.0, 0.0, 0.0)
    pattern: str = "plain"
    period: float = 0.05

    def tint(self, s: np.ndarray, t: np.ndarray, *, pixel: float) -> np.ndarray:
        """RGB [h, w, 3] at coordinates ``s`` across and ``t`` along the part, with edges one ``pixel`` soft."""
        base = np.asarray(self.colour, np.float32)
        if self.pattern == "plain":
            return base
        weight = PATTERNS[self.pattern](s / self.period, t / self.period, pixel / self.period)
        return base + weight[..., None] * (np.asarray(self.second, np.float32) - base)

    def plain(self) -> "Material":
        """The same surface without its pattern."""
        return replace(self, pattern="plain")


def _wave(v: np.ndarray, soft: float) -> np.ndarray:
    """A square wave of period 1 whose flanks are ``soft`` wide; coverage 0..1."""
    distance = np.abs((v % 1.0) - 0.5) - 0.25
    return np.clip(0.5 - distance / max(soft, 1e-6), 0.0, 1.0)


def _horizontal(s: np.ndarray, t: np.ndarray, soft: float) -> np.ndarray:
    return _wave(t, soft) + 0.0 * s


def _vertical(s: np.ndarray, t: np.ndarray, soft: float) -> np.ndarray:
    return _wave(s, soft) + 0.0 * t


def _check(s: np.ndarray, t: np.ndarray, soft: float) -> np.ndarray:
    return 0.5 * _wave(s, soft) + 0.5 * _wave(t, soft)


def _dots(s: np.ndarray, t: np.ndarray, soft: float) -> np.ndarray:
    row = np.floor(t)
    distance = np.hypot((s + 0.5 * (row % 2)) % 1.0 - 0.5, t - row - 0.5) - 0.3
    return np.clip(0.5 - distance / max(soft, 1e-6), 0.0, 1.0)


PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "horizontal": _horizontal, "vertical": _vertical, "check": _check, "dots": _dots,
}
"""Coverage 0..1 of the second colour; arguments in periods. ``plain`` is none of them."""
