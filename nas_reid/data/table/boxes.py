"""Boxes against the pictures that they cut something out of."""

from collections.abc import Sequence
from pathlib import Path

from nas_reid.data.decoding import upright_size
from nas_reid.data.sample import Box
from nas_reid.data.table.columns import Table
from nas_reid.data.threads import map_in_order
from nas_reid.errors import DataError
from nas_reid.progress import progress

_THREADS = 4


def require_inside(table: Table, boxes: Sequence[Box]) -> None:
    """Check what needs no picture: that no box begins outside its own.

    Raises:
        DataError: some do.
    """
    if outside := [row for row, box in enumerate(boxes) if box and min(box) < 0]:
        raise DataError(f"{table.file}: {len(outside):,} boxes begin outside their picture "
                        f"({_some(table, boxes, outside)}): edges are pixels from 0. Correct these rows, or let "
                        "boxes be clipped with data.options.clip_boxes=true")


def clipped(table: Table, boxes: Sequence[Box], root: Path, paths: Sequence[str]) -> list[Box]:
    """The boxes without what lies outside their pictures, of which each is opened once.

    A box of a picture that cannot be read stays as it is: whoever decodes the picture tells.

    Raises:
        DataError: nothing is left of a box.
    """
    def size_of(path: str) -> tuple[int, int] | None:
        """Width and height of an image; None where it cannot be read."""
        try:
            return upright_size(root / path)
        except Exception:  # decoders raise anything
            return None

    files = sorted({path for path, box in zip(paths, boxes, strict=True) if box})
    found = map_in_order(size_of, files, workers=_THREADS, window=8 * _THREADS)
    sizes = dict(zip(files, progress(found, description="sizes", total=len(files), unit="img"), strict=True))
    result: list[Box] = [_clip(box, sizes.get(path)) for path, box in zip(paths, boxes, strict=True)]
    if gone := [row for row, box in enumerate(result) if box and not (box[0] < box[2] and box[1] < box[3])]:
        raise DataError(f"{table.file}: {len(gone):,} boxes lie outside their picture altogether "
                        f"({_some(table, boxes, gone)}); correct these rows, or remove them")
    return result


def _clip(box: Box, size: tuple[int, int] | None) -> Box:
    if not box or size is None:
        return box
    left, top, right, bottom = box
    return max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])


def _some(table: Table, boxes: Sequence[Box], rows: Sequence[int]) -> str:
    return "; ".join(f"line {table.lines[row]}: {boxes[row]}" for row in rows[:3]) + ("; ..." if len(rows) > 3 else "")
