"""What the readers of three flat folders share: finding them, reading names, and saying what is wrong."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nas_reid.data.formats import is_image, left_out
from nas_reid.data.layout import LAYOUTS, SplitFolders
from nas_reid.data.readers.listing import entries, found
from nas_reid.data.sample import Dataset, Sample
from nas_reid.errors import DataError, some

_NAME = re.compile(r"(-?\d+)_c(\d+)")  # matched at the start of the file name: digits of parent folders never count
_PARTS = ("train", "query", "gallery")


def read_split_folders(root: Path, layout: SplitFolders) -> Dataset:
    """Read three flat folders of images named ``{pid}_c{cam}...``.

    Negative pids are junk and dropped. pid 0 is a distractor: it stays in the gallery and is dropped elsewhere.
    Cameras become 0-based: the first is 1, or 0 where a file name says so. Other files are ignored.

    Raises:
        DataError: a folder is missing, empty, or holds no image with such a name.
    """
    base = _locate(root, layout)
    images = {part: _images(base / folder, layout) for part, folder in zip(_PARTS, layout.folders, strict=True)}
    first_camera = min(1, *(cam for named, *_ in images.values() for _, _, cam in named))
    parts, warnings = {}, []
    for part, (named, unnamed, others) in images.items():
        folder = getattr(layout, part)
        lowest = 0 if part == "gallery" else 1
        parts[part] = tuple(Sample(f"{folder}/{name}", pid, cam - first_camera)
                            for name, pid, cam in named if pid >= lowest)
        if not parts[part]:
            raise DataError(f"{base / folder} holds only junk and distractors (pid below 1); check data.root={root}")
        if others:
            warnings.append(f"{folder}: {others}")
        if unnamed:
            warnings.append(f"{folder}: left out {len(unnamed):,} images that are not named like {layout.example}: "
                            f"{some(unnamed)}")
        if misplaced := sum(pid == 0 < lowest for _, pid, _ in named):
            warnings.append(f"{folder}: left out {misplaced:,} images of pid 0, which means a distractor and belongs "
                            "in the gallery; number identities from 1")
    if shared := {s.pid for s in parts["train"]} & {s.pid for s in (*parts["query"], *parts["gallery"])}:
        warnings.append(f"{len(shared):,} identities occur in {layout.train} and in {layout.query} or "
                        f"{layout.gallery}: results are not about unseen people")
    if lonely := _without_match(parts["query"], parts["gallery"]):
        warnings.append(f"{lonely:,} of {len(parts['query']):,} queries have no image of their person from another "
                        f"camera in {layout.gallery}: an evaluation skips them")
    return Dataset(layout.reader, base, parts["train"], parts["query"], parts["gallery"], tuple(warnings),
                   first_camera=first_camera)


def _without_match(query: Sequence[Sample], gallery: Sequence[Sample]) -> int:
    """How many queries no image of the gallery could answer."""
    seen = {(sample.pid, sample.camid) for sample in gallery}
    cameras = Counter(pid for pid, _ in seen)
    return sum(cameras[sample.pid] <= ((sample.pid, sample.camid) in seen) for sample in query)


def _images(folder: Path, layout: SplitFolders) -> tuple[list[tuple[str, int, int]], list[str], str]:
    """(name, pid, cam) of images whose names say so, names of other images, both sorted; and what is no image."""
    listed = entries(folder)
    names = [name for name in listed if is_image(name)]
    matches = [_NAME.match(name) for name in names]
    if not any(matches):
        what = f"none of its {len(names):,} images has" if names else "it holds no image with"
        raise DataError(f"{folder}: {what} a name like {layout.example} (pid, then _c and the camera, "
                        f"and the suffix of a picture)\n  found: {found(folder)}\n"
                        f"  set data.root= to a folder of reader {layout.reader!r}")
    named = [(name, int(match[1]), int(match[2])) for name, match in zip(names, matches, strict=True) if match]
    return named, [name for name, match in zip(names, matches, strict=True) if not match], left_out(folder, listed)


def _locate(root: Path, layout: SplitFolders) -> Path:
    """The folder at or below ``root`` that holds the layout's three folders."""
    base = _find(root, layout)
    if base is not None:
        return base
    tree = "\n".join(f"    {root}/{folder}/{layout.example}" for folder in layout.folders)
    nested = f"\n    or the three folders in one of: {', '.join(layout.nested)}" if layout.nested else ""
    hints = [f"\n  this is the layout of reader {other.reader!r}: set data={other.reader}"
             for other in LAYOUTS if other is not layout and _find(root, other)]
    if parent := _find(root.parent, layout):
        hints.append(f"\n  the three folders are in its parent: set data.root={parent}")
    missing = [folder for folder in layout.folders if not (root / folder).is_dir()]
    what = f"has no folder {', '.join(missing)}" if root.is_dir() else "is not a folder"
    raise DataError(f"reader {layout.reader!r}: {root} {what}\n  expected:\n{tree}{nested}\n  found: {found(root)}"
                    f"{''.join(hints) or chr(10) + '  set data.root= to the folder that holds the three'}")


def _find(root: Path, layout: SplitFolders) -> Path | None:
    for base in (root, *(root / nested for nested in layout.nested)):
        if all((base / folder).is_dir() for folder in layout.folders):
            return base
    return None
