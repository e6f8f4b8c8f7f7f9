"""How materials look in near infrared, as cameras with their own illuminators see them at night.

What decides is the dye and the fibre, not the colour: a material's reflectance is related to its visible luminance only
weakly, and separately for every material (RLE, NeurIPS 2024: intensities relate linearly per material; one factor for
the whole picture would leave little of the gap between the modalities). A reflectance belongs to the material and
not to the person, so that look-alikes who share a fabric in visible light share it here too.
"""

from collections.abc import Mapping

import numpy as np

from nas_reid.data.synthetic.material import Colour, Material
from nas_reid.data.synthetic.sensor import LUMINANCE
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.data.synthetic.stream import stream

PRINTED_ON = {"logo": "upper", "stripe": "lower"}
"""Materials that are dyed into another: what shows of them is a contrast to it."""

LEAVES_ARE_BRIGHT = 2.4
"""Near-infrared reflectance of leaves relative to their luminance."""


def near_infrared(materials: Mapping[str, Material], spec: SyntheticSpec) -> dict[str, Material]:
    """The grey materials that a near-infrared camera sees in place of ``materials``."""
    seen = {}
    for name, material in materials.items():
        base = materials.get(PRINTED_ON.get(name, ""))
        if base is None:
            level = reflectance(name, material, spec)
        else:
            level = _dyed(reflectance(PRINTED_ON[name], base, spec), base.colour, material.colour, spec)
        second = level
        if material.pattern != "plain":
            second = _dyed(level, material.colour, material.second, spec)
        seen[name] = Material(_grey(level), _grey(second), material.pattern, material.period)
    return seen


def reflectance(name: str, material: Material, spec: SyntheticSpec) -> float:
    """Reflectance 0..1 of a material that is worn as ``name``.

    Skin is bright whatever its tone; hair is darker and varies little; any other material is ``luminance`` times its
    visible luminance plus the rest of a uniform draw from 0.15..0.9.
    """
    if name == "skin":
        return 0.7
    if name == "face":
        return 0.35
    visible = luminance(material.colour)
    if name == "hair":
        return 0.2 + 0.3 * min(visible / 0.6, 1.0)
    if name.startswith("leaf"):
        return min(LEAVES_ARE_BRIGHT * visible, 0.9)
    own = _stream(spec, "reflectance", material.colour).uniform(0.15, 0.9)
    return float(spec.luminance * visible + (1 - spec.luminance) * own)


def luminance(colour: Colour) -> float:
    """Visible luminance 0..1."""
    return float(np.dot(colour, LUMINANCE))


def _dyed(level: float, colour: Colour, second: Colour, spec: SyntheticSpec) -> float:
    """Reflectance of what is dyed in the colour ``second`` onto a fabric of ``colour`` and reflectance ``level``.

    A fraction ``woven`` keeps 50..100 % of the visible contrast, the rest 0..20 %: prints vanish.
    """
    rng = _stream(spec, "dye", (*colour, *second))
    is_woven, much, little = rng.random() < spec.woven, rng.uniform(0.5, 1.0), rng.uniform(0.0, 0.2)
    contrast = (much if is_woven else little) * float(np.linalg.norm(np.subtract(second, colour))) / np.sqrt(3)
    contrast = float(np.copysign(contrast, luminance(second) - luminance(colour)))
    there = level + contrast
    return there if 0.05 <= there <= 0.95 else float(np.clip(level - contrast, 0.05, 0.95))


def near_infrared_scene(pixels: np.ndarray, number: int, spec: SyntheticSpec) -> np.ndarray:
    """A background (RGB float32 [H, W, 3], 0..1) of scene ``number``: dark, for the illuminator hardly reaches it.

    Each scene mixes the channels in its own way, some inverted; leaves are bright.
    """
    rng = stream(spec.stream_seed, "scene in near infrared", number)
    mix, slope, dark = rng.dirichlet((1.0, 1.0, 1.0)), rng.uniform(-0.6, 1.0), rng.uniform(0.35, 0.65)
    grey = spec.luminance * (pixels @ LUMINANCE)
    grey += (1 - spec.luminance) * (0.5 + slope * (pixels @ mix.astype(np.float32) - 0.5))
    leafy = np.clip(8 * (pixels[..., 1] - np.maximum(pixels[..., 0], pixels[..., 2])), 0, 1)
    grey += leafy * (LEAVES_ARE_BRIGHT * pixels @ LUMINANCE - grey)
    return np.repeat(np.float32(dark) * np.clip(grey, 0, 1)[..., None], 3, axis=2)


def illuminate(pixels: np.ndarray, fall_off: float, rng: np.random.Generator) -> None:
    """Darken in place what is far from the illuminator's centre: exp(-fall_off r^2), r in box heights."""
    height, width = pixels.shape[:2]
    x, y = 0.5 * width + height * rng.uniform(-0.1, 0.1), height * rng.uniform(0.3, 0.6)
    across = (np.arange(width, dtype=np.float32)[None, :] + 0.5 - x) / height
    down = (np.arange(height, dtype=np.float32)[:, None] + 0.5 - y) / height
    pixels *= np.exp(-np.float32(fall_off) * (across**2 + down**2))[..., None]


def _stream(spec: SyntheticSpec, name: str, colour: tuple[float, ...]) -> np.random.Generator:
    """Draws that belong to a colour, to the precision of a picture file."""
    return stream(spec.stream_seed, name, *(round(255 * channel) for channel in colour))


def _grey(level: float) -> Colour:
    return (level, level, level)
