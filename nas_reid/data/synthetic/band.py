"""What a camera is sensitive to: how it sees persons, things and scenes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nas_reid.data.synthetic.canvas import Layer
from nas_reid.data.synthetic.identity import Identity
from nas_reid.data.synthetic.material import Material
from nas_reid.data.synthetic.near_infrared import near_infrared, near_infrared_scene
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.data.synthetic.thermal import thermal_layers, thermal_person, thermal_scene, thermal_things

Materials = Mapping[str, Material]


@dataclass(frozen=True)
class Band:
    """A rendering; the default is visible light.

    Args:
        person: materials of an identity.
        things: what it makes of the materials of an occluder.
        layers: what it makes of the layers.
        scene: what it makes of a background (RGB float32 [H, W, 3], 0..1) of a scene's number.
        daylight: how much of the lateral light and of the shadow on the ground there is, 0..1.
        folds: depth of the folds in the clothes.
    """

    person: Callable[[Identity, SyntheticSpec], Materials] = lambda identity, spec: identity.materials
    things: Callable[[Materials, SyntheticSpec], Materials] = lambda materials, spec: materials
    layers: Callable[[Iterable[Layer]], Iterable[Layer]] = lambda layers: layers
    scene: Callable[[np.ndarray, int, SyntheticSpec], np.ndarray] = lambda pixels, number, spec: pixels
    daylight: float = 1.0
    folds: float = 0.09


BANDS: dict[str, Band] = {
    "": Band(),
    "grey": Band(),
    "near": Band(person=lambda identity, spec: near_infrared(identity.materials, spec), things=near_infrared,
                 scene=near_infrared_scene, daylight=0.3),
    "thermal": Band(person=lambda identity, spec: thermal_person(identity),
                    things=lambda materials, spec: thermal_things(materials), layers=thermal_layers,
                    scene=lambda pixels, number, spec: thermal_scene(pixels), daylight=0.0, folds=0.03),
}
"""By ``Camera.infrared``; the sensor takes the colours out of ``grey``."""
