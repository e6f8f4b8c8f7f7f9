"""From a painted scene to the camera's picture: colour response, resolution, blur, noise, overlay."""

import numpy as np
from PIL import Image, ImageFilter

from nas_reid.data.synthetic.camera import Camera, Style

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)

DIGITS = ("111101101101111", "010110010010111", "111001111100111", "111001111001111", "101101111001001",
          "111100111001111", "111100111101111", "111001010010010", "111101111101111", "111101111001111")
"""3x5 dot patterns of the digits, row by row."""


def expose(pixels: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """The picture that ``camera`` delivers of ``pixels`` (RGB float32 [H, W, 3] in 0..1): uint8 [H, W, 3]."""
    height, width = pixels.shape[:2]
    style = camera.style
    picture = Image.fromarray(_quantise(respond(pixels, style)))
    native = (max(round(width * style.resolution), 8), max(round(height * style.resolution), 16))
    if native != (width, height):
        picture = picture.resize(native, Image.Resampling.BOX)
    if style.blur > 0:
        picture = picture.filter(ImageFilter.GaussianBlur(style.blur * style.resolution * height / 128))
    if style.noise > 0:
        picture = Image.fromarray(_noisy(np.asarray(picture), style.noise, rng))
    if native != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    result = np.array(picture)
    if camera.infrared:
        result = np.repeat(_quantise(result @ LUMINANCE / 255)[..., None], 3, axis=2)
    if camera.overlay != "none":
        OVERLAYS[camera.overlay](result, rng)
    return result


def respond(pixels: np.ndarray, style: Style) -> np.ndarray:
    """Cast, saturation, gamma, black and white level; float32 [H, W, 3] in 0..1."""
    seen = pixels * np.asarray(style.gains, np.float32)
    if style.saturation != 1.0:
        grey = (seen @ LUMINANCE)[..., None]
        seen = grey + style.saturation * (seen - grey)
    seen = np.clip(seen, 0, 1)
    if style.gamma != 1.0:
        seen = seen ** np.float32(style.gamma)
    return style.black + (style.white - style.black) * seen


def _noisy(picture: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Signal-dependent Gaussian noise, half of it shared by the three channels; ``deviation`` holds at mid-grey."""
    values = picture.astype(np.float32) / 255
    noise = rng.standard_normal((*values.shape[:2], 4), np.float32)
    mixed = 0.7 * (noise[..., :3] + noise[..., 3:])
    return _quantise(values + deviation * mixed * np.sqrt(0.3 + 1.4 * values))


def _quantise(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _bar(picture: np.ndarray, rng: np.random.Generator) -> None:
    """A dark translucent bar along the top edge."""
    rows = picture[: max(picture.shape[0] // 24, 2)]
    rows[:] = rows // 4


def _stamp(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Six digits in the lower left corner, as of a clock."""
    dot = max(picture.shape[0] // 128, 1)
    glyphs = [np.array([int(c) for c in DIGITS[d]], bool).reshape(5, 3) for d in rng.integers(0, 10, 6)]
    line = np.concatenate([np.pad(glyph, ((0, 0), (0, 1))) for glyph in glyphs], axis=1)
    mask = np.kron(line, np.ones((dot, dot), bool))[:, : picture.shape[1] - 2 * dot]
    bottom = picture.shape[0] - 2 * dot
    picture[bottom - mask.shape[0]:bottom, 2 * dot:2 * dot + mask.shape[1]][mask] = 240


OVERLAYS = {"bar": _bar, "stamp": _stamp}
"""What a camera burns into every picture, by name; each paints in place."""
