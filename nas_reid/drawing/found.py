"""What a search found: each query with the images most like it, of whom nobody says who they are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nas_reid.drawing.lettering import legible
from nas_reid.drawing.picture_file import write_picture
from nas_reid.drawing.ranked_lists import QUERY, compose, tile

_FOUND = (120, 128, 140)
_MOST = 18
"""Characters of a line under a picture."""

Named = tuple[np.ndarray, str]
"""A picture, uint8 [H, W, 3], and the path of its file."""


def draw_found(path: Path, queries: Sequence[Named], found: Sequence[Sequence[tuple[np.ndarray, str, float]]]) -> None:
    """Draw a strip for every query into a PNG: the query, then what was found from rank 1, with rank and distance.

    Args:
        path: the PNG file.
        queries: from top to bottom, at least one.
        found: of each query, from the nearest: picture, path of its file, distance.

    Raises:
        NasReidError: the file cannot be written.
    """
    strips = [[tile(pixels, QUERY, f"query\n{_short(name)}"),
               *(tile(image, _FOUND, f"{rank}:  {distance:.3f}\n{_short(other)}")
                 for rank, (image, other, distance) in enumerate(ranked, start=1))]
              for (pixels, name), ranked in zip(queries, found, strict=True)]
    write_picture(path, lambda file: compose(strips).save(file, format="PNG"))


def _short(path: str) -> str:
    """The last folder and the file, as far as they can be drawn, in two lines; of a long name its end, where names
    differ."""
    parts = [legible(part) for part in path.split("/")[-2:]]
    return "\n".join(part if len(part) <= _MOST else f"…{part[-_MOST + 1:]}" for part in parts)
