"""Images side by side, row under row."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from nas_reid.drawing.lettering import lettering
from nas_reid.drawing.picture_file import write_picture

GAP = 6
CAPTION = 16


def draw_image_grid(path: Path, rows: Sequence[Sequence[np.ndarray]], *, height: int = 150) -> None:
    """Draw rows of images into a PNG, as ``image_grid`` arranges them.

    Raises:
        NasReidError: the file cannot be written.
    """
    sheet = image_grid(rows, height=height)
    write_picture(path, lambda file: sheet.save(file, format="PNG"))


def image_grid(rows: Sequence[Sequence[np.ndarray]], *, height: int = 150,
               captions: Sequence[Sequence[str]] = ()) -> Image.Image:
    """Rows of images, all at one height.

    Args:
        rows: uint8 images [H, W, 3]; rows may differ in length. At least one image.
        height: of each image in the picture, in pixels.
        captions: a line under each image; none without.
    """
    scaled = [[Image.fromarray(image) for image in row] for row in rows]
    scaled = [[image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.BICUBIC)
               for image in row] for row in scaled]
    width = max(sum(image.width + GAP for image in row) for row in scaled)
    step = height + GAP + (CAPTION if captions else 0)
    sheet = Image.new("RGB", (GAP + width, GAP + len(scaled) * step), "white")
    pen = ImageDraw.Draw(sheet)
    for number, row in enumerate(scaled):
        left, top = GAP, GAP + number * step
        for column, image in enumerate(row):
            sheet.paste(image, (left, top))
            if captions:
                caption = captions[number][column]
                pen.text((left, top + height + 1), caption, fill=(50, 50, 50), font=lettering(11, caption))
            left += image.width + GAP
    return sheet
