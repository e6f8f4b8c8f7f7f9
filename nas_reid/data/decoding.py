"""From an image file to RGB bytes of a fixed size."""

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
    height, width = image_size
    with Image.open(path) as image:
        return np.asarray(_to_rgb(image).resize((width, height), Image.Resampling.BILINEAR))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    elif image.mode == "P":
        image = image.convert("RGBA")  # Pillow warns when it drops a palette's transparency directly
    return image.convert("RGB")
