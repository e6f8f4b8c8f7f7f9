"""How a person looks to a thermal camera: warm skin, clothes by how well they insulate, no colours and no prints."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from nas_reid.data.synthetic.canvas import Layer
from nas_reid.data.synthetic.identity import Identity
from nas_reid.data.synthetic.material import Material
from nas_reid.data.synthetic.sensor import LUMINANCE

UPPER_WARMTH = {"tshirt": 0.58, "longsleeve": 0.52, "jacket_open": 0.46, "hoodie": 0.42, "jacket_closed": 0.38,
                "coat": 0.32}
LOWER_WARMTH = {"shorts": 0.54, "skirt": 0.48, "trousers": 0.43}
"""Brightness of garments: the better one insulates, the less of the body's warmth comes through."""

WARMTH = {"skin": 0.95, "face": 0.88, "hair": 0.72, "shoes": 0.4, "sole": 0.36, "bag": 0.27, "cap": 0.5}
UNHEATED = 0.24
"""Brightness of things that nobody wears."""

INVISIBLE = frozenset({"logo", "stripe"})
"""Materials that lie on a garment and have its temperature."""


def thermal_person(identity: Identity) -> dict[str, Material]:
    """Materials of a person; only what the garments are matters, not their colours."""
    upper, lower = UPPER_WARMTH[identity.upper], LOWER_WARMTH[identity.lower]
    warmth = {**WARMTH, "upper": upper, "trim": upper, "inner": min(upper + 0.08, 0.6), "lower": lower}
    return {name: _grey(level) for name, level in warmth.items()}


def thermal_things(materials: Mapping[str, Material]) -> dict[str, Material]:
    """Materials of an occluder: all of the same, low temperature."""
    return dict.fromkeys(materials, _grey(UNHEATED))


def thermal_layers(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers that differ in temperature, without the shading that light would give them."""
    return (replace(layer, shade=1.0, relief=0.4 * layer.relief, shadow=0.0) for layer in layers
            if layer.material not in INVISIBLE)


def thermal_scene(pixels: np.ndarray) -> np.ndarray:
    """A background (RGB float32 [H, W, 3], 0..1): cool, with little left of its contrast."""
    return np.repeat((0.1 + 0.15 * (pixels @ LUMINANCE))[..., None], 3, axis=2)


def _grey(level: float) -> Material:
    return Material((level, level, level))
