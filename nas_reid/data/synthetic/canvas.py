"""Painting layers back to front, each inside its own bounding box, with one-pixel soft outlines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from nas_reid.data.synthetic.material import Material
from nas_reid.data.synthetic.shape import Shape, Surface


class Part(IntEnum):
    """What a pixel shows; the values of a part mask."""

    BACKGROUND = 0
    HEAD = 1
    HAIR = 2
    HEADWEAR = 3
    UPPER = 4
    ARMS = 5
    LOWER = 6
    LEGS = 7
    SHOES = 8
    BAG = 9
    LOGO = 10
    OCCLUDER = 11


@dataclass(frozen=True)
class Layer:
    """A shape, the part it belongs to, and the name of its material: a scene without any colour.

    Args:
        part: label in the part mask.
        material: name in the mapping given to ``Canvas.paint``.
        shape: outline in body coordinates.
        shade: brightness factor (a far limb is darker).
        relief: how much the edges darken, 0 for something flat.
        shadow: how strongly it darkens what lies just beyond its outline.
    """

    part: Part
    material: str
    shape: Shape
    shade: float = 1.0
    relief: float = 0.3
    shadow: float = 0.0


class Canvas:
    """An image under construction and its part mask.

    Args:
        background: RGB float32 [H, W, 3] in 0..1; painted over in place.
        scale: pixels per body height.
        origin: pixel (x, y) of the body's coordinate origin, the crown's height on its vertical axis.
        light: lateral light, -1 (from the left) to 1 (from the right).
    """

    def __init__(self, background: np.ndarray, *, scale: float, origin: tuple[float, float],
                 light: float = 0.0) -> None:
        self.colour = background
        height, width = background.shape[:2]
        self.part: np.ndarray = np.zeros((height, width), np.uint8)
        self.scale, self.light = scale, light
        self._x = ((np.arange(width, dtype=np.float32) + 0.5 - origin[0]) / scale)[None, :]
        self._y = ((np.arange(height, dtype=np.float32) + 0.5 - origin[1]) / scale)[:, None]
        self.origin = origin

    def paint(self, layers: Iterable[Layer], materials: Mapping[str, Material]) -> None:
        """Paint ``layers`` in order; each takes its colours from ``materials``."""
        for layer in layers:
            rows, columns = self._window(layer, margin=4 if layer.shadow else 1)
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            surface = layer.shape.sample(self._x[:, columns], self._y[rows])
            self._blend(layer, surface, materials[layer.material], self.colour[rows, columns], self.part[rows, columns])

    def ground_shadow(self, x: float, y: float, rx: float, *, strength: float = 0.45) -> None:
        """Darken the ground softly around the feet."""
        norm = np.sqrt(((self._x - x) / rx) ** 2 + ((self._y - y) / (0.28 * rx)) ** 2)
        self.colour *= 1.0 - strength * np.clip(1.3 - norm, 0, 1)[..., None]

    def _blend(self, layer: Layer, surface: Surface, material: Material, colour: np.ndarray,
               part: np.ndarray) -> None:
        distance, u, s, t = surface
        edge = distance * self.scale
        if layer.shadow:
            # Only on what is already painted: a contact shadow on the far background would be a halo.
            near = np.where(part > 0, layer.shadow, 0.0) * np.clip(1.0 - distance / 0.03, 0, 1)
            colour *= 1.0 - near[..., None]
        alpha = np.clip(0.5 - edge, 0, 1)
        square = u * u
        shade = layer.shade * (1.0 - layer.relief * square * (0.4 + 0.6 * square)) * (1.0 + self.light * u)
        target = material.tint(s, t, pixel=1.0 / self.scale) * shade[..., None]
        colour += alpha[..., None] * (target - colour)
        part[alpha > 0.5] = layer.part

    def _window(self, layer: Layer, *, margin: int) -> tuple[slice, slice]:
        left, top, right, bottom = layer.shape.bounds()
        height, width = self.part.shape
        (ox, oy), k = self.origin, self.scale
        return (slice(max(int(oy + k * top) - margin, 0), min(int(oy + k * bottom) + margin + 1, height)),
                slice(max(int(ox + k * left) - margin, 0), min(int(ox + k * right) + margin + 1, width)))
