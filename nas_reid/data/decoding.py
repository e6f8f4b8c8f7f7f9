"""From an image file to RGB bytes of a fixed size; everything that reads pictures opens them here."""

from collections.abc import Callable
from math import ceil
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from nas_reid.data.formats import still_formats
from nas_reid.data.pixels import orientation, upright_rgb
from nas_reid.files.regular import require_regular


def open_picture(path: str | PathLike[str]) -> Image.Image:
    """The picture in a file of one of the still formats, for ``with``; nothing is decoded yet.

    Raises:
        OSError, SyntaxError, ValueError, ...: whatever Pillow raises for what is no picture.
    """
    require_regular(path)  # a pipe would block for ever
    return Image.open(path, formats=still_formats())


def read_picture(path: str | PathLike[str]) -> Image.Image:
    """The whole picture in a file as ``upright_rgb`` gives it; see there and ``open_picture`` for the errors."""
    with open_picture(path) as image:
        return upright_rgb(image)


def decode(path: Path, image_size: tuple[int, int], box: tuple[int, ...] = ()) -> np.ndarray:
    """Decode and resize one image, or what a box cuts out of it.

    Bilinear with Pillow's antialiasing, as torchvision resizes Pillow images. See ``upright_rgb`` for orientation,
    depths and colours.

    Args:
        path: the image file.
        image_size: (height, width) of the result.
        box: left, upper, right and lower edge in whole pixels of the upright picture; empty: all of it. What is beyond
            the box does not count for the pixels at its edges.

    Returns:
        uint8 [H, W, 3].

    Raises:
        OSError, SyntaxError, ValueError, ...: as ``open_picture`` and ``upright_rgb``; a box that leaves the picture.
    """
    with open_picture(path) as image:
        return resized(cut_out(upright_rgb(image), box) if box else image, image_size)


def cut_out(picture: Image.Image, box: tuple[int, ...]) -> Image.Image:
    """The part of an upright picture inside a box.

    Raises:
        ValueError: the box leaves the picture.
    """
    if not leaves_none(box, picture.size):
        raise ValueError(f"the box {', '.join(map(str, box))} (left, upper, right, lower) leaves the picture of "
                         f"{picture.width} x {picture.height} pixels; correct it, or let it be clipped with "
                         "data.options.clip_boxes=true")
    left, top, right, bottom = box
    return picture.crop((left, top, right, bottom))


def leaves_none(box: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether a box is inside a picture of (width, height)."""
    left, top, right, bottom = box
    return 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]


def upright_size(path: str | PathLike[str]) -> tuple[int, int]:
    """(width, height) of the upright picture in a file, of which nothing but the head is read.

    Raises:
        OSError, SyntaxError, ValueError, ...: as ``open_picture``.
    """
    with open_picture(path) as image:
        if image.format == "TIFF":
            image.load()  # which turns it
        return image.size if orientation(image) < 5 else (image.height, image.width)


def resized(image: Image.Image, image_size: tuple[int, int]) -> np.ndarray:
    """RGB bytes [H, W, 3] of an open image at ``image_size`` = (height, width), resized as by ``decode``."""
    height, width = image_size
    return np.asarray(upright_rgb(image).resize((width, height), Image.Resampling.BILINEAR))


Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels, not rounded."""


def decode_box(path: Path, box_of: Callable[[int, int], Box], image_size: tuple[int, int]) -> np.ndarray:
    """Decode a part of an image and resize it, as ``decode`` does the whole.

    A JPEG much larger than what is asked for is decoded at 1/2, 1/4 or 1/8 of its size, which is several times as fast.

    Args:
        path: the image file.
        box_of: (width, height) of the upright image -> the part.
        image_size: (height, width) of the result.

    Returns:
        uint8 [H, W, 3].

    Raises:
        OSError, SyntaxError, ValueError, ...: as ``decode``.
    """
    height, width = image_size
    with open_picture(path) as image:
        if image.format not in ("JPEG", "MPO"):  # only a JPEG can be asked for less, and others may turn as they load
            image.load()
        full = image.size if orientation(image) < 5 else image.size[::-1]
        box = box_of(*full)
        shrink = min((box[2] - box[0]) / width, (box[3] - box[1]) / height)
        if shrink >= 2:
            image.draft(None, (ceil(image.width / shrink), ceil(image.height / shrink)))
        upright = upright_rgb(image)
        left, top, right, bottom = (
            min(max(edge * now / before, 0.0), now)  # rounding must not lead out of the image
            for edge, now, before in zip(box, upright.size * 2, full * 2, strict=True))
        return np.asarray(upright.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, right, bottom)))
