"""What a data set holds, looked at before anything is trained on it."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from nas_reid.data.decoding import cut_out, leaves_none, open_picture, read_picture, upright_size
from nas_reid.data.pixels import upright_rgb
from nas_reid.data.places import OWN_PLACE
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.threads import map_in_order
from nas_reid.drawing.lettering import written
from nas_reid.errors import DataError
from nas_reid.progress import progress


@dataclass(frozen=True)
class Looked:
    """What the files told.

    Attributes:
        sizes: name of an image -> (width, height) in pixels, of the box where it has one.
        unreadable: name -> why it cannot be read.
    """

    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def lists_of(dataset: Dataset) -> dict[str, list[Sample]]:
    """Name of a list -> its images; queries and gallery as they are ranked."""
    def ranked(part: str) -> list[Sample]:
        """The images of a part; of several trials those of any, each once."""
        samples = getattr(dataset, part)
        if not dataset.trials:
            return list(samples)
        return [samples[row] for row in sorted({row for trial in dataset.trials for row in getattr(trial, part)})]

    return {"training": list(dataset.train), "query": ranked("query"), "gallery": ranked("gallery")}


def counts(samples: Sequence[Sample], *, first_camera: int) -> dict[str, Any]:
    """Plain numbers of a list: images, identities, images per identity and camera, distractors, infrared.

    Args:
        samples: of the list.
        first_camera: see ``Dataset``.
    """
    of_person = Counter(sample.pid for sample in samples if sample.pid > 0)
    cameras = Counter(sample.camid + first_camera for sample in samples if sample.camid < OWN_PLACE)
    per_person = sorted(of_person.values())
    return {"images": len(samples), "identities": len(of_person),
            "distractors": sum(sample.pid == 0 for sample in samples),
            "images_per_identity": {"least": per_person[0], "median": median(per_person), "most": per_person[-1]}
            if per_person else None, "identities_of_one_image": sum(count == 1 for count in per_person),
            "cameras": {str(camera): cameras[camera] for camera in sorted(cameras)} or None,
            "infrared": sum(sample.modality for sample in samples)}


def look(dataset: Dataset, *, workers: int, decode: bool) -> Looked:
    """Open the pictures of a data set, each once however many images are cut out of it.

    Args:
        dataset: whose pictures.
        workers: threads.
        decode: read them to their ends, so that truncated ones are found; else their heads alone.
    """
    parts: dict[str, set[Sample]] = defaultdict(set)
    for sample in (*dataset.train, *dataset.query, *dataset.gallery):
        parts[sample.path].add(sample)

    def measure(path: str) -> tuple[int, int] | str:
        """Width and height of an image, or why it cannot be read."""
        try:
            if not decode:
                return upright_size(dataset.root / path)
            with open_picture(dataset.root / path) as picture:
                return upright_rgb(picture).size
        except Exception as error:  # decoders raise anything on broken bytes
            return str(error) or type(error).__name__

    found = Looked()
    sizes = map_in_order(measure, parts, workers=workers, window=8 * workers)
    for path, size in zip(parts, progress(sizes, description="pictures", total=len(parts), unit="img"), strict=True):
        for sample in parts[path]:
            if isinstance(size, str):
                found.unreadable[sample.name] = size
            elif not sample.box:
                found.sizes[sample.name] = size
            elif not leaves_none(sample.box, size):
                found.unreadable[sample.name] = f"the box leaves the picture of {size[0]} x {size[1]} pixels"
            else:
                found.sizes[sample.name] = sample.box[2] - sample.box[0], sample.box[3] - sample.box[1]
    return found


def duplicates(dataset: Dataset) -> list[list[Sample]]:
    """Images that are byte for byte the same file (and the same box of it) under different paths, by group.

    Only files of equal size are read.
    """
    samples = list({sample.name: sample for sample in (*dataset.train, *dataset.query, *dataset.gallery)}.values())
    by_size: dict[int, list[str]] = defaultdict(list)
    for path in sorted({sample.path for sample in samples}):
        try:
            by_size[os.stat(dataset.root / path).st_size].append(path)
        except OSError:  # said by ``look``
            continue
    alike = [path for paths in by_size.values() if len(paths) > 1 for path in paths]
    content = {path: _digest(dataset.root / path)
               for path in progress(alike, description="duplicates", total=len(alike), unit="img")}
    groups: dict[tuple[str, tuple[int, ...]], list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.path in content:
            groups[content[sample.path], sample.box].append(sample)
    return sorted((sorted(group, key=lambda sample: sample.name) for group in groups.values() if len(group) > 1),
                  key=lambda group: group[0].name)


def doubtful(groups: Iterable[Sequence[Sample]], dataset: Dataset) -> tuple[int, int]:
    """Of groups of equal images, those that show several identities, and those on both sides of the split."""
    trained = {sample.name for sample in dataset.train}
    several = [len({sample.pid for sample in group}) > 1 for group in groups]
    across = [0 < sum(sample.name in trained for sample in group) < len(group) for group in groups]
    return sum(several), sum(across)


def sheet(dataset: Dataset, *, identities: int, columns: int) -> tuple[dict[str, list[Image.Image | None]], list[str]]:
    """Rows and columns of a contact sheet: identities spread evenly over all, the first image of each camera.

    Where there are no cameras, the first images of each identity. Pictures that cannot be read are left out.

    Args:
        dataset: whose images.
        identities: rows, at most.
        columns: at most.

    Raises:
        DataError: there is no image of a known identity.
    """
    samples = sorted({s for s in (*dataset.train, *dataset.query, *dataset.gallery) if s.pid > 0},
                     key=lambda sample: (sample.pid, sample.name))
    if not samples:
        raise DataError(f"{dataset.name} in {dataset.root} has no image of a known identity")
    cameras = sorted({sample.camid for sample in samples if sample.camid < OWN_PLACE})[:columns]
    pids = sorted({sample.pid for sample in samples})
    chosen = [pids[row * len(pids) // min(identities, len(pids))] for row in range(min(identities, len(pids)))]
    rows: dict[str, list[Image.Image | None]] = {}
    for pid in chosen:
        own = [sample for sample in samples if sample.pid == pid]
        shown = ([next((s for s in own if s.camid == camera), None) for camera in cameras] if cameras
                 else [*own[:columns], *[None] * (columns - len(own))])
        label = written(dataset.names.get(pid), f"{pid:04d}", 28)
        rows[f"{pid:04d}" if label in rows else label] = [_picture(dataset.root, sample) for sample in shown]
    numbers = [camera + dataset.first_camera for camera in cameras]
    return rows, ([written(dataset.camera_names.get(number), f"camera {number}", 10) for number in numbers]
                  or [f"image {number + 1}" for number in range(columns)])


def _picture(root: Path, sample: Sample | None) -> Image.Image | None:
    if sample is None:
        return None
    try:
        picture = read_picture(root / sample.path)
        return cut_out(picture, sample.box) if sample.box else picture
    except Exception:  # said by ``look``
        return None


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()
    except OSError:
        return str(path)
