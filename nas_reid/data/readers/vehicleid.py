"""VehicleID (Liu et al., Deep Relative Distance Learning, CVPR 2016)."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from nas_reid.data.readers.id_list import read_rows
from nas_reid.data.readers.listing import locate, require_images
from nas_reid.data.readers.options import SEEDS, check_option
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.trial import Trial
from nas_reid.errors import DataError

SIZES = {"small": (800, 6_493), "medium": (1_600, 13_377), "large": (2_400, 19_777)}
"""Name -> test vehicles, which the list's name tells, and official test images."""
NUM_TRIALS = 10
_LISTS = "train_test_split"


def read_vehicleid(root: Path, *, size: str = "all", draw_seed: int = 0) -> Dataset:
    """Read VehicleID: ten trials of each size, in each of which one random image of every vehicle is the gallery.

    All other images of the test list query it, so that each has a single match, mAP is the mean reciprocal rank, and
    mINP is equal to it. Publications that make the single images the *queries* report other numbers. Cameras are not
    published: the number of the image stands for them, so that none is junk.

    Args:
        root: the folder with ``image`` and ``train_test_split``, or its parent (``vehicleid``, ``VehicleID``).
        size: ``small``, ``medium``, ``large`` (800, 1,600 and 2,400 vehicles), or ``all``, with small as headline.
        draw_seed: of the draws; trial k of a size is the k-th draw of one generator.

    Raises:
        ConfigError: an option out of range.
        DataError: folders or lists missing, a list of another format, or listed images that are not there.
    """
    check_option("size", size, (*SIZES, "all"))
    check_option("draw_seed", draw_seed, SEEDS)
    sizes = list(SIZES) if size == "all" else [size]
    files = {name: f"{_LISTS}/test_list_{SIZES[name][0]}.txt" for name in sizes}
    base = locate("vehicleid", root, ("image", f"{_LISTS}/train_list.txt", *files.values()), inside="VehicleID")
    train = _read_list(base, f"{_LISTS}/train_list.txt")
    tested = {name: _read_list(base, file) for name, file in files.items()}
    test = tuple(sorted({sample for samples in tested.values() for sample in samples}))
    require_images(base, [*train, *test], listed_in=_LISTS)
    if shared := {s.pid for s in train} & {s.pid for s in test}:
        raise DataError(f"{base / _LISTS}: {len(shared)} vehicles are in a test list and in train_list.txt, such as "
                        f"{min(shared)}; fetch the lists again")
    trials = [trial for name, samples in tested.items() for trial in _trials(name, samples, test, draw_seed)]
    return Dataset("vehicleid", base, tuple(sorted(train)), test, test, tuple(_deviations(tested)), tuple(trials),
                   first_camera=0)


def _read_list(base: Path, name: str) -> list[Sample]:
    """The samples of a list; the number of the image stands for the camera."""
    return read_rows(base / name, lambda image, vehicle: Sample(f"image/{image}.jpg", int(vehicle), int(image)),
                     expected="numbers of an image and of a vehicle, such as '0012345 678'")


def _trials(name: str, samples: Sequence[Sample], test: Sequence[Sample], draw_seed: int) -> Iterator[Trial]:
    """Trials over positions in ``test``."""
    place = {sample: position for position, sample in enumerate(test)}
    of_vehicle: dict[int, list[int]] = defaultdict(list)
    for sample in sorted(set(samples)):
        of_vehicle[sample.pid].append(place[sample])
    generator = random.Random(draw_seed)
    for _ in range(NUM_TRIALS):
        gallery = {generator.choice(of_vehicle[vehicle]) for vehicle in sorted(of_vehicle)}
        query = sorted(position for positions in of_vehicle.values() for position in positions
                       if position not in gallery)
        yield Trial(name, tuple(query), tuple(sorted(gallery)))


def _deviations(tested: dict[str, list[Sample]]) -> Iterator[str]:
    for name, samples in tested.items():
        vehicles, images = SIZES[name]
        found = len({sample.pid for sample in samples})
        if (found, len(samples)) != (vehicles, images):
            yield (f"test list {name} has {len(samples):,} images of {found:,} vehicles; official VehicleID has "
                   f"{images:,} of {vehicles:,}, so results do not compare with published ones")
