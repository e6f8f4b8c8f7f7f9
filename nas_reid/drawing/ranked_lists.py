"""Ranked lists: each query with the gallery images that the network finds most alike, right or wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from nas_reid.drawing.lettering import lettering
from nas_reid.drawing.picture_file import write_picture

HEIGHT = 150
BORDER = 4
GAP = 8
LINE = 15  # of a caption
_WIDEST = 15  # characters of a caption in one line
HEAD = 58
RIGHT, WRONG, JUNK, QUERY = (46, 150, 70), (206, 56, 50), (150, 150, 150), (40, 90, 170)
DISTRACTOR = (224, 150, 30)
_LEGEND = {"query": QUERY, "same person": RIGHT, "another person": WRONG, "distractor, of no query": DISTRACTOR,
           "same person and camera, does not count": JUNK}

Array = np.ndarray | Tensor


class Rows(Protocol):
    """Images that are had one by one."""

    def __getitem__(self, row: int, /) -> Array:
        """One image, uint8 [H, W, 3]."""
        ...


def choose_queries(ap: Array, *, worst: int, random: int, seed: int) -> list[int]:
    """The queries worth a look: those with the lowest average precision, then some of the rest at random.

    Args:
        ap: average precision of every query [Q]; NaN where a query had no match and was skipped.
        worst, random: how many of each; fewer when there are not that many.
        seed: of the random ones.
    """
    values = np.asarray(ap, dtype=float)
    order = [int(i) for i in np.argsort(values, kind="stable") if not np.isnan(values[i])]
    rest = np.random.default_rng(seed).permutation(order[worst:])[:random]
    return order[:worst] + [int(i) for i in rest]


def draw_ranked_lists(
    path: Path,
    *,
    queries: Sequence[int],
    ranked: Array,
    distances: Array,
    query_images: Rows,
    gallery_images: Rows,
    query_pids: Array,
    query_camids: Array,
    gallery_pids: Array,
    gallery_camids: Array,
    query_labels: Mapping[int, Sequence[str]],
    gallery_labels: Mapping[int, Sequence[str]],
    ap: Array | None = None,
    chosen: str = "",
) -> None:
    """Draw one strip per query into a PNG: the query, then its gallery images from rank 1.

    The border is green for the same person, red for another, amber for a distractor (pid 0), grey for the same person
    in the same camera (junk, which the usual protocol removes before ranking). A legend says so.

    Args:
        path: the PNG file.
        queries: indices of the queries to show, from top to bottom.
        ranked: gallery indices from rank 1, [len(queries), k]; a shorter list ends in -1.
        distances: their distances, [len(queries), k].
        query_images, gallery_images: by row, uint8 [H, W, 3]; arrays [Q, H, W, 3] and [G, H, W, 3], or stores.
        query_pids, query_camids, gallery_pids, gallery_camids: [Q] and [G]; an unknown camera is one of its own.
        query_labels, gallery_labels: row of an image that is shown -> who is seen, and by which camera.
        ap: average precision of every query [Q], written under it.
        chosen: how the queries were chosen, for the headline.

    Raises:
        ValueError: no query to show.
        NasReidError: the file cannot be written.
    """
    if not len(queries):
        raise ValueError("no query to draw a ranked list of")
    strips = []
    for row, query in enumerate(queries):
        pid, camid = int(query_pids[query]), int(query_camids[query])
        score = "query" if ap is None else f"AP {float(ap[query]):.2f}"
        tiles = [tile(query_images[query], QUERY, f"{score}\n{_lines(query_labels[query])}")]
        for index, distance in zip(ranked[row], distances[row], strict=True):
            if index < 0:
                break
            other, camera = int(gallery_pids[index]), int(gallery_camids[index])
            border = (DISTRACTOR if other == 0 else WRONG if other != pid else JUNK if camera == camid else RIGHT)
            tiles.append(tile(gallery_images[index], border,
                              f"{float(distance):.3f}\n{_lines(gallery_labels[int(index)])}"))
        strips.append(tiles)
    title = "Each row: a query, and what the network finds most alike, with distances"
    title += f"; {chosen}" if chosen else ""
    write_picture(path, lambda file: _with_head(compose(strips), title).save(file, format="PNG"))


def _lines(label: Sequence[str]) -> str:
    """A label as wide as a picture, about."""
    line = ", ".join(label)
    return line if len(line) <= _WIDEST else "\n".join(label)


def _with_head(sheet: Image.Image, title: str) -> Image.Image:
    """The sheet under a headline and the legend of the borders."""
    large, small = lettering(14), lettering(12)
    legend = sum(26 + small.getlength(word) + 14 for word in _LEGEND)
    headed = Image.new("RGB", (int(max(sheet.width, large.getlength(title), legend)) + 2 * GAP, sheet.height + HEAD),
                       "white")
    headed.paste(sheet, (0, HEAD))
    pen, left = ImageDraw.Draw(headed), float(GAP)
    pen.text((GAP, GAP), title, fill=(30, 30, 30), font=large)
    for word, colour in _LEGEND.items():
        pen.rectangle((left, 34, left + 18, 48), outline=colour, width=BORDER)
        pen.text((left + 24, 33), word, fill=(50, 50, 50), font=small)
        left += 26 + small.getlength(word) + 14
    return headed


def tile(pixels: Array, border: tuple[int, int, int], caption: str) -> Image.Image:
    """One image at the common height, framed, with centred lines of text under it."""
    image = Image.fromarray(np.asarray(pixels))
    image = image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT), Image.Resampling.BICUBIC)
    font = lettering(11, caption)
    framed = (image.width + 2 * BORDER, HEIGHT + 2 * BORDER)
    width = max(framed[0], *(int(font.getlength(line)) + 2 for line in caption.split("\n")))
    tile = Image.new("RGB", (width, framed[1] + LINE * (caption.count("\n") + 1)), "white")
    left = (width - framed[0]) // 2
    tile.paste(border, (left, 0, left + framed[0], framed[1]))
    tile.paste(image, (left + BORDER, BORDER))
    ImageDraw.Draw(tile).multiline_text((width / 2, framed[1] + 2), caption, fill=(50, 50, 50), font=font,
                                        anchor="ma", align="center", spacing=2)
    return tile


def compose(strips: list[list[Image.Image]]) -> Image.Image:
    """All strips below one another, in common columns, with a wider gap after the query."""
    widths = [max(strip[k].width for strip in strips if k < len(strip)) for k in range(max(map(len, strips)))]
    starts = np.cumsum([GAP, *(width + GAP for width in widths)]) + np.array([0] + [GAP] * len(widths))
    height = max(tile.height for strip in strips for tile in strip) + GAP
    sheet = Image.new("RGB", (int(starts[-1]), height * len(strips) + GAP), "white")
    for row, strip in enumerate(strips):
        for k, tile in enumerate(strip):
            sheet.paste(tile, (int(starts[k]) + (widths[k] - tile.width) // 2, GAP + row * height))
    return sheet
