"""Backgrounds: wide street, park, square and indoor scenes, from which every image takes a window."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from nas_reid.data.synthetic.stream import stream

POOL_SIZE = 48
"""Number of scenes that all cameras share."""

HORIZON = 0.5
"""Row where the ground begins, as a fraction of a scene's height."""


class Painter:
    """A wide picture that rectangles and soft blobs are painted on, in units of its height.

    Args:
        height, width: pixels.
        rng: source of every choice in this scene.
    """

    def __init__(self, height: int, width: int, rng: np.random.Generator) -> None:
        self.height, self.width, self.rng = height, width, rng
        self.pixels = np.zeros((height, width, 3), np.float32)
        self.span = width / height

    def box(self, left: float, top: float, right: float, bottom: float, colour: np.ndarray | np.float32,
            alpha: float = 1.0) -> None:
        """Fill a rectangle."""
        h = self.height
        area = self.pixels[max(int(top * h), 0):max(int(bottom * h), 0), max(int(left * h), 0):max(int(right * h), 0)]
        area += alpha * (colour - area)

    def blob(self, x: float, y: float, rx: float, ry: float, colour: np.ndarray, *, ragged: float = 0.0) -> None:
        """Fill an ellipse, with a leafy outline where ``ragged`` is positive."""
        h = self.height
        rows = slice(max(int((y - 1.2 * ry) * h), 0), max(int((y + 1.2 * ry) * h), 0))
        columns = slice(max(int((x - 1.2 * rx) * h), 0), max(int((x + 1.2 * rx) * h), 0))
        area = self.pixels[rows, columns]
        if not area.size:
            return
        yy = (np.arange(rows.start, rows.start + area.shape[0], dtype=np.float32)[:, None] / h - y) / ry
        xx = (np.arange(columns.start, columns.start + area.shape[1], dtype=np.float32)[None] / h - x) / rx
        radius = np.sqrt(xx * xx + yy * yy)
        noise = smooth_noise(self.rng, area.shape[:2], max(h // 40, 2))
        if ragged:
            noise = noise + 0.8 * smooth_noise(self.rng, area.shape[:2], max(h // 110, 1))
        alpha = np.clip((1.0 + ragged * noise - radius) * 12, 0, 1)[..., None]
        shade = (1.0 - 0.3 * yy + 0.35 * noise * (ragged > 0))[..., None]
        area += alpha * (np.clip(colour * shade, 0, 1) - area)

    def grain(self, amount: float) -> None:
        """Dirt and unevenness at two scales."""
        shape = self.pixels.shape[:2]
        coarse = smooth_noise(self.rng, shape, self.height // 8) + 0.6 * smooth_noise(self.rng, shape, 3)
        self.pixels *= 1.0 + amount * coarse[..., None]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: int) -> np.ndarray:
    """Noise of zero mean and roughly unit range, smooth over ``cell`` pixels; float32 ``shape``."""
    small = rng.integers(0, 256, (shape[0] // cell + 2, shape[1] // cell + 2), np.uint8)
    large = Image.fromarray(small).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(large, np.float32) / 127.5 - 1.0


@lru_cache(maxsize=64)
def scene(seed: int, number: int, height: int) -> np.ndarray:
    """Scene ``number``: RGB uint8 [2 height, 8 height, 3]; numbers below ``POOL_SIZE`` are the common pool."""
    rng = stream(seed, "scene", number)
    painter = Painter(2 * height, 8 * height, rng)
    SCENES[number % len(SCENES)](painter)
    painter.grain(0.07)
    return (np.clip(painter.pixels, 0, 1) * 255).astype(np.uint8)


def _colour(rng: np.random.Generator, low: float, high: float, saturation: float) -> np.ndarray:
    """A grey between ``low`` and ``high`` with a tint."""
    return np.clip(rng.uniform(low, high) * (1 + saturation * rng.uniform(-1, 1, 3)), 0, 1).astype(np.float32)


def _ground(painter: Painter, colour: np.ndarray) -> None:
    """A floor that brightens towards the viewer, sometimes paved, with joints that converge."""
    rng, h = painter.rng, painter.height
    painter.box(0, HORIZON, painter.span, 1, colour)
    rows = np.arange(int(HORIZON * h), h)
    painter.pixels[rows] *= np.linspace(0.8, 1.12, len(rows), dtype=np.float32)[:, None, None]
    if rng.random() < 0.6:
        depth = 1.0 / np.linspace(0.12, 1.0, len(rows))
        pitch = rng.uniform(0.06, 0.16)
        joint = 1.0 - rng.uniform(0.12, 0.3)
        lines = (depth / (3 * pitch)) % 1.0 < 0.08
        painter.pixels[rows[lines]] *= joint
        columns = (np.arange(painter.width) / h - painter.span / 2)[None, :] * depth[:, None] ** 0.5
        painter.pixels[rows] *= np.where(columns % pitch < 0.012, joint, 1.0).astype(np.float32)[..., None]


def _windows(painter: Painter, tops: Sequence[float], height: float, colour: np.ndarray) -> None:
    """Storeys of windows with frames, mullions and reflections."""
    rng = painter.rng
    width, gap = rng.uniform(0.1, 0.3), rng.uniform(0.06, 0.3)
    frame = _colour(rng, 0.2, 0.95, 0.1)
    for left in np.arange(rng.uniform(0, 0.2), painter.span, width + gap):
        for top in tops:
            bottom = top + height
            painter.box(left - 0.012, top - 0.012, left + width + 0.012, bottom + 0.012, frame)
            painter.box(left, top, left + width, bottom, colour * rng.uniform(0.7, 1.3))
            painter.box(left, top, left + 0.4 * width, bottom, np.float32(1.0), 0.12)
            painter.box(left + 0.48 * width, top, left + 0.52 * width, bottom, frame)


def _street(painter: Painter) -> None:
    """A house front, a pavement with a kerb, parked cars, posts."""
    rng = painter.rng
    painter.box(0, 0, painter.span, HORIZON, _colour(rng, 0.35, 0.85, 0.15))
    if rng.random() < 0.6:
        tone = rng.uniform(0.8, 0.92)
        for y in np.arange(0, HORIZON, 0.022):
            painter.pixels[int(y * painter.height)] *= tone
    _windows(painter, [rng.uniform(0.05, 0.15)], rng.uniform(0.14, 0.24), _colour(rng, 0.15, 0.5, 0.2))
    painter.box(0, HORIZON - 0.05, painter.span, HORIZON, _colour(rng, 0.2, 0.5, 0.1))
    _ground(painter, _colour(rng, 0.4, 0.7, 0.08))
    kerb = rng.uniform(0.58, 0.72)
    painter.box(0, kerb, painter.span, kerb + 0.02, _colour(rng, 0.7, 0.85, 0.03))
    painter.box(0, kerb + 0.02, painter.span, 1, _colour(rng, 0.25, 0.45, 0.05), 0.8)
    for x in rng.uniform(0, painter.span, rng.integers(2, 5)):
        _car(painter, x)
    _posts(painter, int(rng.integers(2, 6)))


def _park(painter: Painter) -> None:
    """Sky, trees and bushes over grass or a path."""
    rng = painter.rng
    painter.box(0, 0, painter.span, HORIZON, np.array([0.72, 0.8, 0.9], np.float32) * rng.uniform(0.85, 1.1))
    leaf = np.array([0.22, 0.36, 0.15], np.float32) * rng.uniform(0.6, 1.4)
    for x in rng.uniform(0, painter.span, 9):
        painter.box(x - 0.02, 0.15, x + 0.02, HORIZON + 0.02, _colour(rng, 0.2, 0.32, 0.2))
        painter.blob(x, rng.uniform(0.05, 0.22), rng.uniform(0.2, 0.4), rng.uniform(0.15, 0.25),
                     leaf * rng.uniform(0.7, 1.3, 3), ragged=0.35)
    for x in rng.uniform(0, painter.span, 12):
        painter.blob(x, HORIZON - 0.03, rng.uniform(0.12, 0.3), rng.uniform(0.06, 0.12),
                     leaf * rng.uniform(0.6, 1.1, 3), ragged=0.35)
    grass = np.array([0.36, 0.45, 0.22], np.float32) * rng.uniform(0.7, 1.2)
    _ground(painter, grass if rng.random() < 0.5 else _colour(rng, 0.45, 0.7, 0.12))
    if rng.random() < 0.5:
        painter.box(0, rng.uniform(0.6, 0.7), painter.span, rng.uniform(0.8, 1.0), _colour(rng, 0.5, 0.75, 0.1))
    for x in rng.uniform(0, painter.span, 3):
        _bench(painter, x)


def _square(painter: Painter) -> None:
    """A glass front or columns behind a paved square."""
    rng = painter.rng
    painter.box(0, 0, painter.span, HORIZON, _colour(rng, 0.45, 0.8, 0.15))
    glass = _colour(rng, 0.3, 0.65, 0.25)
    if rng.random() < 0.5:
        _windows(painter, (0.02, 0.19, 0.36), rng.uniform(0.09, 0.13), glass)
    else:
        painter.box(0, 0.06, painter.span, HORIZON, glass * 0.6)
        pitch = rng.uniform(0.35, 0.7)
        for x in np.arange(0, painter.span, pitch):
            painter.box(x, 0, x + 0.2 * pitch, HORIZON + 0.01, _colour(rng, 0.6, 0.85, 0.06))
    _ground(painter, _colour(rng, 0.45, 0.85, 0.1))
    for x in rng.uniform(0, painter.span, rng.integers(1, 4)):
        painter.blob(x, HORIZON + 0.02, 0.09, 0.09, np.array([0.2, 0.34, 0.16], np.float32), ragged=0.3)
        painter.box(x - 0.05, HORIZON + 0.06, x + 0.05, HORIZON + 0.13, _colour(rng, 0.3, 0.7, 0.15))
    _posts(painter, int(rng.integers(1, 5)))


def _hall(painter: Painter) -> None:
    """A corridor: panelled wall, doors, posters, skirting, smooth floor with reflections."""
    rng = painter.rng
    wall = _colour(rng, 0.55, 0.92, 0.1)
    painter.box(0, 0, painter.span, HORIZON, wall)
    painter.box(0, rng.uniform(0.28, 0.38), painter.span, HORIZON, _colour(rng, 0.35, 0.75, 0.25), 0.7)
    for x in rng.uniform(0, painter.span, 7):
        right, poster = x + rng.uniform(0.08, 0.2), _colour(rng, 0.4, 0.8, 0.5)
        painter.box(x, 0.12, right, 0.27, poster)
        painter.box(x + 0.02, 0.14, right - 0.02, rng.uniform(0.17, 0.25), 1 - poster)
    door = _colour(rng, 0.25, 0.7, 0.3)
    for x in rng.uniform(0, painter.span, 6):
        painter.box(x - 0.012, 0.068, x + 0.232, HORIZON, 0.7 * door)
        painter.box(x, 0.08, x + 0.22, HORIZON, door)
        painter.box(x + 0.18, 0.28, x + 0.2, 0.3, np.float32(0.85))
    painter.box(0, HORIZON - 0.02, painter.span, HORIZON, _colour(rng, 0.15, 0.5, 0.1))
    _ground(painter, _colour(rng, 0.4, 0.85, 0.1))
    for x in rng.uniform(0, painter.span, 8):
        painter.box(x, HORIZON, x + rng.uniform(0.1, 0.4), 1.0, np.float32(1.0), 0.08)


def _posts(painter: Painter, count: int) -> None:
    rng = painter.rng
    for x in rng.uniform(0, painter.span, count):
        half, foot = rng.uniform(0.008, 0.02), rng.uniform(HORIZON + 0.02, 0.68)
        painter.box(x - half, rng.choice((0.0, 0.25, 0.4)), x + half, foot, _colour(rng, 0.15, 0.7, 0.15))


def _car(painter: Painter, x: float) -> None:
    paint = painter.rng.uniform(0.1, 0.85) * painter.rng.uniform(0.6, 1.0, 3).astype(np.float32)
    ground = HORIZON + 0.1
    painter.blob(x, ground, 0.46, 0.025, np.full(3, 0.12, np.float32))
    painter.blob(x - 0.02, ground - 0.13, 0.26, 0.085, paint * 0.85)
    painter.blob(x - 0.02, ground - 0.135, 0.22, 0.06, np.array([0.16, 0.19, 0.22], np.float32))
    painter.box(x - 0.03, ground - 0.2, x - 0.01, ground - 0.12, paint * 0.8)
    painter.blob(x, ground - 0.055, 0.43, 0.062, paint)
    painter.box(x - 0.43, ground - 0.06, x + 0.43, ground - 0.02, paint * 0.9)
    painter.box(x - 0.43, ground - 0.065, x + 0.43, ground - 0.058, paint * 0.6)
    for end, lamp in ((x - 0.425, (0.75, 0.2, 0.15)), (x + 0.4, (0.95, 0.92, 0.8))):
        painter.box(end, ground - 0.075, end + 0.025, ground - 0.05, np.array(lamp, np.float32))
    for wheel in (x - 0.26, x + 0.26):
        painter.blob(wheel, ground - 0.015, 0.045, 0.045, np.full(3, 0.08, np.float32))
        painter.blob(wheel, ground - 0.015, 0.022, 0.022, np.full(3, 0.5, np.float32))


def _bench(painter: Painter, x: float) -> None:
    wood = _colour(painter.rng, 0.3, 0.45, 0.25)
    for y in (0.49, 0.53, 0.57):
        painter.box(x - 0.2, y, x + 0.2, y + 0.022, wood)
    for leg in (x - 0.16, x + 0.15):
        painter.box(leg, 0.57, leg + 0.015, 0.64, wood * 0.5)


SCENES = (_street, _park, _square, _hall)
"""Kinds of scenes; a scene's number picks one in turn."""
