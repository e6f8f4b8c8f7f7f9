"""What is fixed for one camera: its look, its mix of views, its overlay, its own scene."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from nas_reid.data.synthetic.domain import LOOKS
from nas_reid.data.synthetic.material import as_colour
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.data.synthetic.stream import stream


@dataclass(frozen=True)
class Style:
    """A sensor's look; the defaults change nothing.

    Args:
        gains: factor per colour channel.
        saturation: 1 keeps colours, 0 is grey.
        gamma: exponent on intensities in 0..1.
        black, white: the values that 0 and 1 are mapped to.
        blur: sigma in pixels at an image height of 128.
        noise: standard deviation at mid-grey.
        resolution: native size relative to the written image, at most 1.
    """

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    gamma: float = 1.0
    black: float = 0.0
    white: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    resolution: float = 1.0


@dataclass(frozen=True)
class Camera:
    """One camera.

    Args:
        style: its sensor's look.
        views: probability of front, side and back views.
        overlay: a name in ``sensor.OVERLAYS`` or ``none``.
        scene: number of its own scene.
        infrared: empty for visible light, else a name in ``spec.INFRARED``.
        fall_off: how fast a near-infrared illuminator fades from its centre: exp(-fall_off r^2), r in box heights.
    """

    style: Style
    views: tuple[float, float, float]
    overlay: str
    scene: int
    infrared: str = ""
    fall_off: float = 0.0


INFRARED_CAMERAS: dict[str, tuple[int, ...]] = {"market1501": (), "sysu_mm01": (2, 5), "regdb": (1,)}
"""0-based infrared cameras of each layout."""

INFRARED_STYLES: dict[str, Callable[[Style], Style]] = {
    "": lambda style: style,
    "grey": lambda style: replace(style, saturation=0.0),
    "near": lambda style: replace(style, gains=(1.0, 1.0, 1.0), saturation=0.0, noise=1.5 * style.noise,
                                  blur=style.blur + 0.3),
    "thermal": lambda style: replace(style, gains=(1.0, 1.0, 1.0), saturation=0.0, blur=style.blur + 1.0),
}
"""What being infrared makes of a sensor's look. Its gamma is its own anyway: every camera has one."""


@lru_cache(maxsize=64)
def camera(spec: SyntheticSpec, index: int) -> Camera:
    """Camera ``index`` (0-based) of the data set of ``spec``."""
    views = stream(spec.stream_seed, "views", index).dirichlet((1.2, 1.2, 1.2))
    infrared = spec.infrared if index in INFRARED_CAMERAS[spec.layout] else ""
    style = _style(spec, stream(spec.stream_seed, "style", index))
    fall_off = spec.illuminator * stream(spec.stream_seed, "illuminator", index).uniform(1, 5)
    # SYSU-MM01's third camera, the first infrared one, looks into the room of the second.
    room = 1 if spec.layout == "sysu_mm01" and index == 2 else index
    front, side, back = (float(view) for view in views)
    style = INFRARED_STYLES[infrared](style)
    if infrared:  # a white that stays dark: fewer grey levels, more noise for what they say
        style = replace(style, white=style.white - (1 - spec.sensitivity) * (style.white - style.black))
    return Camera(style=style, views=(front, side, back),
                  overlay=_overlay(spec, index), scene=1000 + room, infrared=infrared, fall_off=float(fall_off))


def _style(spec: SyntheticSpec, rng: np.random.Generator) -> Style:
    """Every amplitude is scaled by k; all draws are made whatever the amplitudes, so that factors stay apart."""
    k, look = spec.style, LOOKS[spec.domain]
    gains = np.exp(k * spec.cast * (look.cast + look.spread * rng.uniform(-1, 1, 3)))
    change = look.spread * rng.uniform(-spec.saturation, 0.27 * spec.saturation)
    saturation = 1 + k * (look.saturation * spec.saturation + change)
    gamma = np.exp(k * spec.gamma * (look.gamma + look.spread * rng.uniform(-1, 1)))
    black, white = 0.8 * k * spec.levels * rng.random(), 1 - k * spec.levels * rng.random()
    blur, noise = k * spec.blur * rng.random(), k * spec.noise * rng.uniform(0.16, 1.0)
    resolution = 1 - k * spec.resolution * rng.random()
    return Style(as_colour(gains), float(max(saturation, 0)), float(gamma), float(black), float(white),
                 float(blur), float(noise), float(resolution))


def _overlay(spec: SyntheticSpec, index: int) -> str:
    """The first cameras of a random order have an overlay, so that the fraction is exact."""
    rank = int(np.flatnonzero(stream(spec.stream_seed, "overlay").permutation(spec.cameras) == index)[0])
    if rank >= round(spec.overlay * spec.cameras):
        return "none"
    return ("bar", "stamp")[rank % 2]
