"""From an image file to RGB bytes of a fixed size."""

from collections.abc import Callable
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image


def decode(path: Path, image_size: tuple[int, int]) -> np.ndarray:
    """Decode and resize one image.

    Bilinear with Pillow's antialiasing, as torchvision resizes Pillow images. Grey, palette and CMYK images become
    RGB; transparency is dropped; of 16-bit images the upper byte is kept (Pillow alone would clip them to white).

    Args:
        path: the image file.
        image_size: (height, width) of the result.

    Returns:
        uint8 [H, W, 3].

    Raises:
        OSError, SyntaxError, ValueError, ...: whatever Pillow's decoders raise for a broken file.
    """
    with Image.open(path) as image:
        return resized(image, image_size)


def resized(image: Image.Image, image_size: tuple[int, int]) -> np.ndarray:
    """RGB bytes [H, W, 3] of an open image at ``image_size`` = (height, width), resized as by ``decode``."""
    height, width = image_size
    return np.asarray(_to_rgb(image).resize((width, height), Image.Resampling.BILINEAR))


Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels, not rounded."""


def decode_box(path: Path, box_of: Callable[[int, int], Box], image_size: tuple[int, int]) -> np.ndarray:
    """Decode a part of an image and resize it, as ``decode`` does the whole.

    A JPEG much larger than what is asked for is decoded at 1/2, 1/4 or 1/8 of its size, which is several times as fast.

    Args:
        path: the image file.
        box_of: (width, height) of the image -> the part.
        image_size: (height, width) of the result.

    Returns:
        uint8 [H, W, 3].

    Raises:
        OSError, SyntaxError, ValueError, ...: as ``decode``.
    """
    height, width = image_size
    with Image.open(path) as image:
        full = image.size
        box = box_of(*full)
        shrink = min((box[2] - box[0]) / width, (box[3] - box[1]) / height)
        if shrink >= 2:
            image.draft(None, (ceil(full[0] / shrink), ceil(full[1] / shrink)))
        part = tuple(min(max(edge * now / before, 0.0), now)  # rounding must not lead out of the image
                     for edge, now, before in zip(box, image.size * 2, full * 2, strict=True))
        return np.asarray(_to_rgb(image).resize((width, height), Image.Resampling.BILINEAR, box=part))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    elif image.mode == "P":
        image = image.convert("RGBA")  # Pillow warns when it drops a palette's transparency directly
    return image.convert("RGB")
