"""Activation maps: where in an image the trunk's map is large."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from nas_reid.drawing.image_grid import draw_image_grid

PER_ROW = 4
MAP_SHARE = 0.5


def activation_maps(maps: Tensor) -> Tensor:
    """Sum of absolute values over the channels, then spatial l2 normalisation (Zagoruyko & Komodakis 2017, Sec. 3.1).

    Args:
        maps: feature maps [N, C, h, w].

    Returns:
        [N, h, w], each of unit norm (or zero).
    """
    summed = maps.abs().sum(1)
    return normalize(summed.flatten(1), dim=1).view_as(summed)


def draw_activations(path: Path, *, images: np.ndarray, maps: np.ndarray) -> None:
    """Draw image | map | overlay of each image into a PNG, four such panels in a row.

    A map is stretched to the full range of colours by its own smallest and largest value: colours compare places in
    one image, never two images.

    Args:
        path: the PNG file.
        images: uint8 [N, H, W, 3], N >= 1.
        maps: float [N, h, w], of ``activation_maps``.

    Raises:
        NasReidError: the file cannot be written.
    """
    panels = [np.concatenate(_panel(image, values), axis=1) for image, values in zip(images, maps, strict=True)]
    draw_image_grid(path, [panels[start:start + PER_ROW] for start in range(0, len(panels), PER_ROW)])


def _panel(image: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from matplotlib import colormaps

    stretched = (values - values.min()) / max(float(np.ptp(values)), 1e-12)
    large = Image.fromarray(stretched.astype(np.float32)).resize(image.shape[1::-1], Image.Resampling.BILINEAR)
    colours = (255 * colormaps["turbo"](np.asarray(large))[..., :3]).round().astype(np.uint8)
    overlay = ((1 - MAP_SHARE) * image + MAP_SHARE * colours).round().astype(np.uint8)
    return image, colours, overlay
