"""Part masks laid over images in colours."""

import numpy as np
from PIL import Image

STRENGTH = 0.6
"""How much of the image's own colour the overlay replaces."""


def part_overlay(image: Image.Image, parts: np.ndarray) -> Image.Image:
    """The image in grey with every labelled pixel in its label's colour; label 0 stays as it is.

    Args:
        image: of any size.
        parts: labels, uint8 [H, W]; resized to the image without mixing them.
    """
    labels = np.asarray(Image.fromarray(parts).resize(image.size, Image.Resampling.NEAREST))
    grey = np.repeat(np.asarray(image.convert("L"), np.float32)[..., None], 3, axis=2)
    coloured = (1 - STRENGTH) * grey + STRENGTH * _colours(int(parts.max()) + 1)[labels]
    return Image.fromarray(np.where((labels > 0)[..., None], coloured, grey).astype(np.uint8))


def _colours(count: int) -> np.ndarray:
    """Distinct colours [count, 3], 0..255; neighbouring labels are far apart in hue."""
    hues = (0.61803 * np.arange(count)) % 1.0
    phases = np.abs((6 * hues[:, None] + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1
    return (255 * np.clip(phases, 0, 1)).astype(np.float32)
