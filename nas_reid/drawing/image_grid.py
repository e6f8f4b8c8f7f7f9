"""Images side by side, row under row."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from nas_reid.drawing.picture_file import write_picture

GAP = 6


def draw_image_grid(path: Path, rows: Sequence[Sequence[np.ndarray]], *, height: int = 150) -> None:
    """Draw rows of images into a PNG, all at one height.

    Args:
        path: the PNG file.
        rows: uint8 images [H, W, 3]; rows may differ in length. At least one image.
        height: of each image in the picture, in pixels.

    Raises:
        NasReidError: the file cannot be written.
    """
    scaled = [[Image.fromarray(image) for image in row] for row in rows]
    scaled = [[image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.BICUBIC)
               for image in row] for row in scaled]
    width = max(sum(image.width + GAP for image in row) for row in scaled)
    sheet = Image.new("RGB", (GAP + width, GAP + len(scaled) * (height + GAP)), "white")
    for number, row in enumerate(scaled):
        left = GAP
        for image in row:
            sheet.paste(image, (left, GAP + number * (height + GAP)))
            left += image.width + GAP
    write_picture(path, lambda file: sheet.save(file, format="PNG"))
