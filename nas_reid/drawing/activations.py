"""Activation maps: where in an image the trunk's map is large."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn.functional import normalize

from nas_reid.drawing.image_grid import GAP, image_grid
from nas_reid.drawing.lettering import lettering
from nas_reid.drawing.picture_file import write_picture

PER_ROW = 4
MAP_SHARE = 0.5
HEAD = 30
_BAR = (120, 12)  # width and height of the scale


def activation_maps(maps: Tensor) -> Tensor:
    """Sum of absolute values over the channels, then spatial l2 normalisation (Zagoruyko & Komodakis 2017, Sec. 3.1).

    Args:
        maps: feature maps [N, C, h, w].

    Returns:
        [N, h, w], each of unit norm (or zero).
    """
    summed = maps.abs().sum(1)
    return normalize(summed.flatten(1), dim=1).view_as(summed)


def draw_activations(path: Path, *, images: np.ndarray, maps: np.ndarray, labels: Sequence[str] = ()) -> None:
    """Draw image | map | overlay of each image into a PNG, four such panels in a row, under the scale of the colours.

    A map is stretched to the full range of colours by its own smallest and largest value, which stand under it: colours
    compare places in one image, never two images.

    Args:
        path: the PNG file.
        images: uint8 [N, H, W, 3], N >= 1.
        maps: float [N, h, w], of ``activation_maps``.
        labels: who is seen on each, N; none without.

    Raises:
        NasReidError: the file cannot be written.
    """
    panels = [np.concatenate(_panel(image, values), axis=1) for image, values in zip(images, maps, strict=True)]
    captions = [f"{label + ': ' if label else ''}{values.min():.3f} to {values.max():.3f}"
                for label, values in zip(labels or [""] * len(panels), maps, strict=True)]
    rows = range(0, len(panels), PER_ROW)
    grid = image_grid([panels[start:start + PER_ROW] for start in rows],
                      captions=[captions[start:start + PER_ROW] for start in rows])
    sheet = _headed(grid)
    write_picture(path, lambda file: sheet.save(file, format="PNG"))


def _headed(grid: Image.Image) -> Image.Image:
    """The grid under a line that says what the colours are."""
    font, parts = lettering(12), ("smallest", "largest value of each image's own map")
    left = GAP + font.getlength(parts[0]) + 6
    width = int(left + _BAR[0] + 6 + font.getlength(parts[1]) + GAP)
    sheet = Image.new("RGB", (max(grid.width, width), grid.height + HEAD), "white")
    sheet.paste(grid, (0, HEAD))
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 8), parts[0], fill=(50, 50, 50), font=font)
    pen.text((left + _BAR[0] + 6, 8), parts[1], fill=(50, 50, 50), font=font)
    sheet.paste(Image.fromarray(_colours(np.tile(np.linspace(0, 1, _BAR[0]), (_BAR[1], 1)))), (int(left), 9))
    return sheet


def _colours(values: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] of values [H, W] in [0, 1]."""
    from matplotlib import colormaps

    return (255 * colormaps["turbo"](values)[..., :3]).round().astype(np.uint8)


def _panel(image: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    stretched = (values - values.min()) / max(float(np.ptp(values)), 1e-12)
    large = Image.fromarray(stretched.astype(np.float32)).resize(image.shape[1::-1], Image.Resampling.BILINEAR)
    colours = _colours(np.asarray(large))
    overlay = ((1 - MAP_SHARE) * image + MAP_SHARE * colours).round().astype(np.uint8)
    return image, colours, overlay
