"""From an open picture to upright RGB bytes: what a picture file says about its pixels, in one place."""

import numpy as np
from PIL import Image

_ORIENTATION = 0x0112  # of Exif; TIFF 6.0, section 8
_UPRIGHT = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_90}
_UNSIGNED_16_BITS = {"I": ("PNG", "PPM"), "I;16": (None, "JPEG2000", "PNG", "PPM", "TIFF")}
"""Modes whose values are 0 to 65535 in files of these formats; None: a picture that is no file's."""
_ON_THE_WAY = {"P": "RGBA", "La": "LA"}  # Pillow warns when it drops a palette's transparency; of La it knows one way
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
_WHITE_IS_ZERO, _UNSIGNED, _UNDEFINED = 0, 1, 4


def upright_rgb(image: Image.Image) -> Image.Image:
    """A picture in RGB bytes, turned and mirrored as its Exif data say.

    Grey, palette, YCbCr, Lab and CMYK pictures become RGB by Pillow's formulas; transparency is dropped, and colour
    profiles (ICC) and gamma are not applied. Unsigned values of 9 to 16 bits keep their upper 8. Of several frames the
    first counts.

    Args:
        image: of Pillow, open or in memory; loaded here, otherwise left as it is.

    Raises:
        ValueError: no pixel; floating-point, signed or 32-bit values, of which nothing says what black and white are.
        OSError, SyntaxError, ...: whatever Pillow's decoders raise for a broken file.
    """
    if not all(image.size):
        raise ValueError(f"it is empty: {image.width} x {image.height} pixels")
    image.load()  # the Exif data of some formats come after the pixels; Pillow turns TIFF by itself
    turn = _UPRIGHT.get(orientation(image))
    rgb = _to_rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


def orientation(image: Image.Image) -> int:
    """How the scene lies in the stored pixels: Exif's 1 (upright) to 8, 5 to 8 with the sides swapped."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken Exif data make Pillow raise anything, and say nothing
        return 1
    return found if found in _UPRIGHT else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    tags = getattr(image, "tag_v2", {})
    mode = "I;16" if image.mode.startswith("I;16") else image.mode
    kinds = tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))
    is_deep = mode in ("I", "F", "I;16")
    if (is_deep and image.format not in _UNSIGNED_16_BITS.get(mode, ())) or not set(kinds) <= {_UNSIGNED, _UNDEFINED}:
        what = "floating-point" if mode == "F" else "signed or 32-bit"
        raise ValueError(f"it has {what} values (mode {image.mode}) and does not say which of them are black and "
                         "white; convert it to unsigned values of 8 or 16 bits")
    if is_deep:
        bits = tags.get(_BITS, (16,))[0]
        values = (np.asarray(image) >> (bits - 8)).clip(0, 255).astype(np.uint8)
        # Pillow inverts other depths.
        return Image.fromarray(255 - values if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else values).convert("RGB")
    if mode in _ON_THE_WAY:
        image = image.convert(_ON_THE_WAY[mode])
    return image.convert("RGB")
