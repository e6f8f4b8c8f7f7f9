"""Images and lists of the two public layouts with infrared: SYSU-MM01 and RegDB.

Everyone is a person of the population: 1..train_ids train (the validation persons among them), the rest are for
testing. In RegDB the ten splits divide all persons anew.
"""

from collections.abc import Sequence

import numpy as np

from nas_reid.data.synthetic.entry import Entry
from nas_reid.data.synthetic.population import populate
from nas_reid.data.synthetic.spec import SyntheticSpec
from nas_reid.data.synthetic.stream import stream

REGDB_SPLITS = 10
REGDB_FOLDERS = ("Visible", "Thermal")


def sysu_entries(spec: SyntheticSpec) -> list[Entry]:
    """``cam{1..6}/{pid}/{number}.jpg``."""
    return [Entry(f"cam{camera + 1}/{person:04d}", f"{index + 1:04d}.jpg", person, person, camera, index)
            for camera in range(spec.cameras) for person in range(1, spec.train_ids + spec.test_ids + 1)
            if camera not in _missing(spec, person) for index in range(spec.images_per_camera)]


def sysu_lists(spec: SyntheticSpec) -> dict[str, str]:
    """``exp/*.txt``: comma-separated persons for training, validation and testing, and all of them."""
    known = list(range(1, spec.train_ids + 1))
    val = [known[i] for i in _whole_groups(_groups(spec)[:spec.train_ids], spec.val_ids, _draw(spec, "validation"))]
    test = list(range(spec.train_ids + 1, spec.train_ids + spec.test_ids + 1))
    parts = {"train": sorted(set(known) - set(val)), "val": val, "test": test, "available": known + test}
    return {f"exp/{name}_id.txt": ",".join(map(str, pids)) + "\n" for name, pids in parts.items()}


def regdb_entries(spec: SyntheticSpec) -> list[Entry]:
    """``Visible/{pid}/person_v_{number}_{pid}.bmp`` and its aligned ``Thermal/{pid}/person_t_{number}_{pid}.bmp``."""
    return [Entry(f"{REGDB_FOLDERS[camera]}/{person}", _regdb_name(spec, person, camera, index), person, person,
                  camera, index)
            for camera in range(2) for person in range(1, spec.train_ids + spec.test_ids + 1)
            for index in range(spec.images_per_camera)]


def regdb_lists(spec: SyntheticSpec) -> dict[str, str]:
    """``idx/{train,test}_{visible,thermal}_{1..10}.txt``: a path and a label 0..N-1 per line."""
    everyone, groups = range(1, spec.train_ids + spec.test_ids + 1), _groups(spec)
    files = {}
    for split in range(1, REGDB_SPLITS + 1):
        train = {everyone[i] for i in _whole_groups(groups, spec.train_ids, _draw(spec, "split", split))}
        for part, pids in (("train", sorted(train)), ("test", [pid for pid in everyone if pid not in train])):
            for camera, modality in enumerate(("visible", "thermal")):
                lines = [f"{REGDB_FOLDERS[camera]}/{pid}/{_regdb_name(spec, pid, camera, index)} {label}\n"
                         for label, pid in enumerate(pids) for index in range(spec.images_per_camera)]
                files[f"idx/{part}_{modality}_{split}.txt"] = "".join(lines)
    return files


def _regdb_name(spec: SyntheticSpec, person: int, camera: int, index: int) -> str:
    """The number is that of the image within its modality."""
    return f"person_{'vt'[camera]}_{(person - 1) * spec.images_per_camera + index + 1:05d}_{person}.bmp"


def _missing(spec: SyntheticSpec, person: int) -> tuple[int, ...]:
    """0-based cameras that never see ``person``: of every ten persons one is never indoors in visible light, another
    never in the infrared passage and one of the outdoor cameras. Everyone is in some camera of each kind."""
    if spec.min_cameras == spec.cameras:
        return ()
    ten, place = divmod(person - 1, 10)
    rng = stream(spec.stream_seed, "missing", ten)
    never_indoors, never_in_passage = rng.permutation(10)[:2]
    outdoor = int(rng.choice((3, 4)))
    return (0, 1) if place == never_indoors else (outdoor, 5) if place == never_in_passage else ()


def _groups(spec: SyntheticSpec) -> list[tuple[int, int]]:
    """For every person something that it shares with its look-alike and nobody else."""
    people = populate(spec)
    return [(half, person.group if person.group >= 0 else -1 - number)
            for half, part in enumerate((people.train, people.test)) for number, person in enumerate(part)]


def _whole_groups(groups: Sequence[tuple[int, int]], count: int, rng: np.random.Generator) -> list[int]:
    """``count`` random places of ``groups``, sorted; equal groups stay together as long as that leaves ``count``."""
    members: dict[tuple[int, int], list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, []).append(place)
    names = list(members)
    order = [members[names[i]] for i in rng.permutation(len(names))]
    chosen: list[int] = []
    for places in order:
        if len(chosen) + len(places) <= count:
            chosen += places
    rest = sorted(set(range(len(groups))) - set(chosen))
    return sorted(chosen + rest[:count - len(chosen)])


def _draw(spec: SyntheticSpec, name: str, *keys: int) -> np.random.Generator:
    return stream(spec.stream_seed, name, *keys)
