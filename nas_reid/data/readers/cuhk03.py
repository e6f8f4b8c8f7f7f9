"""CUHK03 (Li et al., DeepReID, CVPR 2014), and its new protocol (Zhong et al., Re-ranking Person Re-identification
with k-reciprocal Encoding, CVPR 2017)."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas_reid.data.readers.cuhk03_archive import ARCHIVE, TEST_SETS, extract_images, read_test_sets
from nas_reid.data.readers.listing import locate, named_images, require_images
from nas_reid.data.readers.mat_file import load_mat
from nas_reid.data.readers.official import Counts, compared
from nas_reid.data.readers.options import check_option
from nas_reid.data.sample import Dataset, Sample
from nas_reid.errors import DataError

BOXES = {"detected": "detected", "labelled": "labeled"}
"""Option -> how the data set's own files spell it."""
NEW: dict[str, Counts] = {
    "detected": {"train": (7_365, 767), "query": (1_400, 700), "gallery": (5_332, 700)},
    "labelled": {"train": (7_368, 767), "query": (1_400, 700), "gallery": (5_328, 700)},
}
CLASSIC: Counts = {"train": (None, 1_367), "query": (None, 100), "gallery": (None, 100)}
NUM_SPLITS = {"new": 1, "classic": 20}
_SINGLE_SHOT = ("publications on the classic protocol report the CMC of a single gallery shot, and no mAP: set "
                "evaluation.single_gallery_shot=true")
_EXAMPLE = "1_001_1_01.png"
_NAME = re.compile(r"(\d)_(\d{3})_([12])_\d+\.png")  # camera pair, person of that pair, view, image


def read_cuhk03(root: Path, *, protocol: str = "new", boxes: str = "detected", split: int = 0) -> Dataset:
    """Read CUHK03; the first time, its images are written below the root (``images_detected``, ``images_labeled``).

    A person is numbered 1000 * camera pair + number within the pair.

    Args:
        root: the folder with ``cuhk03_release/cuhk-03.mat`` and, for the new protocol, with
            ``cuhk03_new_protocol_config_{detected,labeled}.mat``; or its parent (``cuhk03``).
        protocol: ``new``: 767 people train and 700 test, evaluated as Market-1501. ``classic``: 20 splits with 100
            test people, every image both a query and gallery, and the CMC of a single gallery shot.
        boxes: ``detected`` or ``labelled``: who drew the bounding boxes.
        split: 0 to 19 of the classic protocol.

    Raises:
        ConfigError: an option out of range.
        DataError: files missing, damaged or of another kind, images that a list names and that are gone, or h5py is
            not installed and the images have not been written yet.
    """
    check_option("protocol", protocol, tuple(NUM_SPLITS))
    check_option("boxes", boxes, tuple(BOXES))
    check_option("split", split, range(NUM_SPLITS[protocol]))
    config = f"cuhk03_new_protocol_config_{BOXES[boxes]}.mat"
    base = locate("cuhk03", root, (config if protocol == "new" else ARCHIVE,), inside="cuhk03")
    folder = f"images_{BOXES[boxes]}"
    if not (base / folder).is_dir():
        extract_images(base, BOXES[boxes], folder)
    if protocol == "new":
        return compared(_read_new(base, folder, config), NEW[boxes], title=f"CUHK03 (new, {boxes})")
    dataset = compared(_read_classic(base, folder, split), CLASSIC, title=f"CUHK03 (classic, {boxes})")
    found, official = len(dataset.train) + len(dataset.query), sum(images or 0 for images, _ in NEW[boxes].values())
    if found == official:
        return dataset
    return replace(dataset, warnings=(*dataset.warnings, (
        f"{base / folder} has {found:,} images and CUHK03 {official:,} {boxes} ones; delete the folder, so that it is "
        f"written again from {ARCHIVE}")))


def _read_new(base: Path, folder: str, config: str) -> Dataset:
    """The lists of the 767/700 protocol."""
    parts = ("train", "query", "gallery")
    content = load_mat(base / config, ("filelist", *(f"{part}_idx" for part in parts)))
    names = [str(np.ravel(cell)[0]) if np.size(cell) else "" for cell in np.ravel(content["filelist"])]
    lists = {}
    for part in parts:
        numbers = np.ravel(content[f"{part}_idx"]).astype(int)
        if not len(numbers) or numbers.min() < 1 or numbers.max() > len(names):
            raise DataError(f"{base / config}: {part}_idx must number the {len(names):,} files of filelist from 1; "
                            "it is not the file of the new protocol, fetch it again")
        lists[part] = sorted(_sample(folder, names[number - 1], config) for number in numbers)
    require_images(base, [sample for samples in lists.values() for sample in samples], listed_in=config)
    return Dataset("cuhk03", base, tuple(lists["train"]), tuple(lists["query"]), tuple(lists["gallery"]))


def _read_classic(base: Path, folder: str, split: int) -> Dataset:
    """The lists of a classic split: every test image is a query and in the gallery."""
    images = [_sample(folder, Path(path).name, folder) for path, _ in named_images(base, folder, _NAME,
                                                                                  example=_EXAMPLE)]
    test_sets = read_test_sets(base)
    if split >= len(test_sets):
        raise DataError(f"{base}: {ARCHIVE} or {TEST_SETS} has {len(test_sets)} test sets, not the 20 of CUHK03")
    tested = {1000 * pair + person for pair, person in test_sets[split]}
    if absent := sorted(tested - {sample.pid for sample in images}):
        raise DataError(f"{base / folder} has no image of {len(absent)} of the {len(tested)} people that split {split} "
                        f"tests, such as person {absent[0] % 1000} of camera pair {absent[0] // 1000}; delete the "
                        f"folder, so that it is written again from {ARCHIVE}")
    test = tuple(sample for sample in images if sample.pid in tested)
    return Dataset("cuhk03", base, tuple(sample for sample in images if sample.pid not in tested), test, test,
                   warnings=(_SINGLE_SHOT,))


def _sample(folder: str, name: str, origin: str) -> Sample:
    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{origin} names an image {name!r}; expected a name like {_EXAMPLE}")
    return Sample(f"{folder}/{name}", 1000 * int(match[1]) + int(match[2]), int(match[3]) - 1)
