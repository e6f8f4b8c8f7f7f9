"""VERI-Wild (Lou et al., VERI-Wild: A Large Dataset and a New Method for Vehicle Re-Identification, CVPR 2019)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from nas_reid.data.readers.id_list import numbered_lines, require_listed_once
from nas_reid.data.readers.listing import locate, require_images
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.options import check_option
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.trial import Trial
from nas_reid.errors import DataError, some

SIZES = {"small": 3_000, "medium": 5_000, "large": 10_000}
"""Name -> test vehicles, with a query each; the lists' names tell."""
OFFICIAL = {"train": (277_797, 30_671)}
_LISTS = "train_test_split"


def read_veri_wild(root: Path, *, size: str = "all") -> Dataset:
    """Read VERI-Wild by its fixed lists; images of the query's vehicle from the query's camera do not count.

    Args:
        root: the folder with ``images`` and ``train_test_split``, or its parent (``VERI-Wild``).
        size: ``small``, ``medium``, ``large`` (3,000, 5,000 and 10,000 vehicles), or ``all``, with small as headline.

    Raises:
        ConfigError: ``size`` out of range.
        DataError: folders or lists missing or of another format, listed images that are not there or have no camera.
    """
    check_option("size", size, (*SIZES, "all"))
    sizes = list(SIZES) if size == "all" else [size]
    names = {name: [f"{_LISTS}/test_{SIZES[name]}{part}.txt" for part in ("_query", "")] for name in sizes}
    files = (f"{_LISTS}/train_list.txt", f"{_LISTS}/vehicle_info.txt", *(file for pair in names.values()
                                                                        for file in pair))
    base = locate("veri_wild", root, ("images", *files), inside="VERI-Wild")
    cameras = _read_cameras(base / files[1])
    train = _read_list(base, files[0], cameras)
    tested = {name: tuple(_read_list(base, file, cameras) for file in pair) for name, pair in names.items()}
    query, gallery = (tuple(sorted({s for pair in tested.values() for s in pair[side]})) for side in (0, 1))
    require_images(base, [*train, *query, *gallery], listed_in=_LISTS)
    trials, warnings = [], []
    places = [{sample: position for position, sample in enumerate(samples)} for samples in (query, gallery)]
    for name, pair in tested.items():
        rows = [tuple(sorted(place[s] for s in set(samples))) for place, samples in zip(places, pair, strict=True)]
        trials.append(Trial(name, rows[0], rows[1]))
        if len(rows[0]) != SIZES[name]:
            warnings.append(f"{name} has {len(rows[0]):,} queries; official VERI-Wild has {SIZES[name]:,}, so results "
                            "do not compare with published ones")
    lists = Dataset("veri_wild", base, tuple(sorted(train)), query, gallery, tuple(warnings), tuple(trials),
                    first_camera=0)
    return compared(lists, OFFICIAL, title="VERI-Wild")


def _read_cameras(path: Path) -> Mapping[str, int]:
    """``vehicle/image`` -> the camera's number, which is its camid."""
    lines = list(numbered_lines(path))[1:]  # the first is a header
    fields = [[field.strip() for field in line.split(";")] for _, line in lines]
    require_listed_once(path, ((number, row[0], line) for (number, line), row in zip(lines, fields, strict=True)))
    try:
        return {row[0]: int(row[1]) for row in fields}
    except (IndexError, ValueError):
        raise DataError(f"{path}: expected lines such as '06224/000001;48;2018-03-11 08:24:01;...', the vehicle and "
                        "image, then the camera; fetch it again") from None


def _read_list(base: Path, name: str, cameras: Mapping[str, int]) -> list[Sample]:
    samples = list(_samples(base / name, cameras))
    without = [sample.path for sample in samples if sample.camid < 0]
    if without:
        raise DataError(f"{base / _LISTS / 'vehicle_info.txt'} has no camera of {len(without):,} of the "
                        f"{len(samples):,} images in {name}: {some(without)}; fetch it again")
    return samples


def _samples(path: Path, cameras: Mapping[str, int]) -> Iterator[Sample]:
    """The samples of a list, with camera -1 where it is not known."""
    lines = list(numbered_lines(path))
    require_listed_once(path, ((number, line.removesuffix(".jpg"), line) for number, line in lines))
    for number, line in lines:
        vehicle, _, image = line.partition("/")
        stem = image.removesuffix(".jpg")
        if not (vehicle.isdigit() and stem.isdigit() and int(vehicle)):
            raise DataError(f"{path}, line {number}: expected a vehicle and an image, such as '06224/000001.jpg', "
                            f"found {line[:80]!r}")
        yield Sample(f"images/{vehicle}/{stem}.jpg", int(vehicle), cameras.get(f"{vehicle}/{stem}", -1))
