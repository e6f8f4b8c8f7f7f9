"""How well people are found again from one camera to another, as a table of colours."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nas_reid.drawing.lettering import font_file
from nas_reid.drawing.picture_file import write_picture

_LEVEL = 4
"""Characters of a camera that have room beside the next one's; longer ones are written at a slant."""
Camera = int | str | None


def draw_camera_pairs(values: Mapping[tuple[Camera, Camera], float], path: Path, *, queries: Mapping[Camera, str],
                      gallery: Mapping[Camera, str], metric: str) -> None:
    """Draw a metric of every pair of cameras into a PNG; a pair without a value, such as a camera with itself, is grey.

    Args:
        values: (query camera, gallery camera) -> fraction.
        path: the PNG file.
        queries, gallery: the cameras, from top to bottom and from left to right -> what is written there.
        metric: its name.

    Raises:
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    table = np.array([[values.get((query, other), np.nan) for other in gallery] for query in queries])
    figure = Figure(figsize=(1.9 + 0.55 * len(gallery), 1.3 + 0.42 * len(queries)), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#e3e6ea")
    image = axes.imshow(np.ma.masked_invalid(table), vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for row, column in zip(*np.nonzero(~np.isnan(table)), strict=True):
        value = table[row, column]
        axes.text(column, row, f"{value:.0%}", ha="center", va="center", fontsize=7,
                  color="white" if value < 0.6 else "black")
    axes.set_xticks(range(len(gallery)), list(gallery.values()), fontsize=7)
    axes.set_yticks(range(len(queries)), list(queries.values()), fontsize=7)
    if any(len(name) > _LEVEL for name in gallery.values()):
        axes.tick_params(axis="x", rotation=40)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        if file := font_file(label.get_text()):
            label.set_fontproperties(FontProperties(fname=file, size=7))
    axes.set_xlabel("gallery camera", fontsize=8)
    axes.set_ylabel("query camera", fontsize=8)
    axes.set_title(f"{metric} by pair of cameras", fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.05).ax.tick_params(labelsize=7)
    write_picture(path, lambda file: figure.savefig(file, format="png"))
