"""Which images a data set consists of, and what their files are called."""

import numpy as np

from nas_reid.data.layout import MARKET1501
from nas_reid.data.synthetic.entry import Entry
from nas_reid.data.synthetic.infrared_plan import regdb_entries, regdb_lists, sysu_entries, sysu_lists
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.data.synthetic.stream import stream

TRAIN, QUERY, GALLERY = MARKET1501.folders


def plan(spec: SyntheticSpec) -> list[Entry]:
    """Every image of ``spec``, in its layout."""
    return ENTRIES[spec.layout](spec)


def lists(spec: SyntheticSpec) -> dict[str, str]:
    """The text files that its layout has beside the images: path relative to the root -> content."""
    return LISTS[spec.layout](spec) if spec.layout in LISTS else {}


def _market_entries(spec: SyntheticSpec) -> list[Entry]:
    """One image of each test identity and camera is a query, as in Market-1501."""
    known = spec.train_ids + spec.test_ids
    entries: list[Entry] = []
    for person in range(1, known + spec.distractor_ids + 1):
        pid = person if person <= known else 0
        for camera in cameras_of(spec, person):
            for index in range(spec.images_per_camera):
                folder = TRAIN if person <= spec.train_ids else QUERY if index == 0 and pid else GALLERY
                entries.append(Entry(folder, _name(pid, camera, person, index), pid, person, camera, index))
    gallery = sum(entry.folder == GALLERY for entry in entries)
    return entries + [_junk(spec, number) for number in range(round(spec.junk * gallery))]


def cameras_of(spec: SyntheticSpec, person: int) -> list[int]:
    """The 0-based cameras that see ``person``: between ``min_cameras`` and all."""
    rng = stream(spec.stream_seed, "cameras", person)
    count = rng.integers(spec.min_cameras, spec.cameras + 1)
    return sorted(int(c) for c in rng.permutation(spec.cameras)[:count])


def _junk(spec: SyntheticSpec, number: int) -> Entry:
    """Half of the junk shows background alone, half a test person cut in two."""
    rng = stream(spec.stream_seed, "junk", number)
    camera = int(rng.integers(spec.cameras))
    person = 0 if number % 2 else int(rng.integers(spec.train_ids + 1, spec.train_ids + spec.test_ids + 1))
    return Entry(GALLERY, _name(-1, camera, 0, number), -1, person, camera, number, junk=True)


def _name(pid: int, camera: int, person: int, index: int) -> str:
    """``{pid}_c{camera}s{sequence}_{frame}_{detection}.jpg``, camera from 1; the frame number is never used twice."""
    frame = np.int64(person) * 100 + index if pid >= 0 else index
    return f"{'-1' if pid < 0 else f'{pid:04d}'}_c{camera + 1}s1_{frame:06d}_{1:02d}.jpg"


ENTRIES = {"market1501": _market_entries, "sysu_mm01": sysu_entries, "regdb": regdb_entries}
LISTS = {"sysu_mm01": sysu_lists, "regdb": regdb_lists}
