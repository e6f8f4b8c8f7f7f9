"""What a network keeps of its feature maps: shares as a table, masks as a picture.

A search space that keeps or drops features offers ``feature_masks(genotype) -> list[FeatureMasks]``, one for each place
in the network, in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nas_reid.backbones.modality import MODALITIES
from nas_reid.drawing.palette import colours_of
from nas_reid.drawing.picture_file import write_picture

_HEIGHT = 160  # of the images, in pixels


@dataclass(frozen=True)
class FeatureMasks:
    """What is kept at one place.

    Args:
        name: of the place.
        channels: bool [2, C], rows by modality.
        pixels: bool [2, H, W].
    """

    name: str
    channels: np.ndarray
    pixels: np.ndarray

    def summary(self) -> dict[str, dict[str, float]]:
        """Level -> share kept for each modality, and ``iou``, what both keep over what either keeps."""
        return {level: {**{name: float(mask.mean()) for name, mask in zip(MODALITIES, masks, strict=True)},
                        "iou": float(masks.all(0).sum() / max(1, masks.any(0).sum()))}
                for level, masks in (("channels", self.channels), ("pixels", self.pixels))}


def mask_table(places: Sequence[FeatureMasks]) -> str:
    """Shares kept and IoU of the two modalities' masks, aligned for reading."""
    kinds = [(level, column) for level in ("channels", "pixels") for column in (*MODALITIES, "iou")]
    rows = [("kept", *(f"{level} {column}" for level, column in kinds))]
    for place in places:
        summary = place.summary()
        rows.append((place.name, *(f"{summary[level][column]:.3f}" for level, column in kinds)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(f"{text:<{width}}" if index == 0 else f"{text:>{width}}"
                               for index, (text, width) in enumerate(zip(row, widths, strict=True))) for row in rows)


def draw_masks(places: Sequence[FeatureMasks], path: Path, *, means: Mapping[int, np.ndarray]) -> None:
    """Draw shares and masks into a PNG.

    Above, the share of channels and of pixels kept at each place for each modality, with the IoU of the two masks.
    Below, one row per modality: what each place's pixel mask leaves of the mean image; the rest is darkened and blue.

    Args:
        places: at least one.
        path: the PNG file.
        means: modality -> mean image, uint8 [H, W, 3]; grey in place of a missing one.

    Raises:
        NasReidError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    columns = min(len(places), 8)
    shown = list(places) if len(places) <= columns else \
        [places[round(i)] for i in np.linspace(0, len(places) - 1, columns)]
    figure = Figure(figsize=(max(6.4, 1.7 * columns), 8.2), dpi=110, layout="constrained")
    panels: Any = figure.subfigures(2, 1, height_ratios=(1, 1.9))
    above, below = panels
    for axes, level in zip(above.subplots(1, 2, sharey=True), ("channels", "pixels"), strict=True):
        _draw_shares(axes, places, level)
    grid = below.subplots(2, columns, squeeze=False)
    for row, modality in enumerate(MODALITIES):
        for axes, place in zip(grid[row], shown, strict=True):
            axes.imshow(_overlay(place.pixels[row], means.get(row)))
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(f"{place.name}: {place.pixels[row].mean():.0%}", fontsize=8)
        grid[row][0].set_ylabel(modality, fontsize=9)
    write_picture(path, lambda file: figure.savefig(file, format="png"))


def mean_images(images: Any, modalities: Any, *, most: int = 512) -> dict[int, np.ndarray]:
    """Modality -> mean of at most ``most`` of its images, spread evenly, uint8 [H, W, 3].

    Args:
        images: uint8 [N, H, W, 3], indexed row by row.
        modalities: int [N].
    """
    kinds, means = np.asarray(modalities), {}
    for modality in np.unique(kinds):
        rows = np.flatnonzero(kinds == modality)
        rows = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]
        total = sum((np.asarray(images[int(row)], dtype=np.float64) for row in rows), start=np.zeros(()))
        means[int(modality)] = (total / len(rows)).round().astype(np.uint8)
    return means


def _draw_shares(axes: Any, places: Sequence[FeatureMasks], level: str) -> None:
    colours, at = colours_of(MODALITIES), np.arange(len(places))
    summaries = [place.summary()[level] for place in places]
    for offset, modality in zip((-0.2, 0.2), MODALITIES, strict=True):
        axes.bar(at + offset, [s[modality] for s in summaries], width=0.38, color=colours[modality], label=modality)
    axes.plot(at, [s["iou"] for s in summaries], "o--", color="#444b55", lw=1, ms=4, label="IoU")
    axes.set(title=f"{level} kept", ylim=(0, 1.05))
    axes.set_xticks(at, [place.name for place in places], fontsize=8, rotation=0 if len(places) < 7 else 60)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12))


def _overlay(mask: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
    """The mean image where the mask keeps it; elsewhere dark and blue."""
    height, width = (_HEIGHT, round(_HEIGHT * mask.shape[1] / mask.shape[0]))
    base = Image.fromarray(np.full((2, 2, 3), 170, np.uint8) if mean is None else mean)
    image = np.asarray(base.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
    kept = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST))
    return np.where(kept[..., None] > 0, image, 0.25 * image + (10, 25, 80)).astype(np.uint8)
