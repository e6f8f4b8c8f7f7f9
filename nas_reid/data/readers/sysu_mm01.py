"""SYSU-MM01 (Wu et al., RGB-Infrared Cross-Modality Person Re-Identification, ICCV 2017)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from nas_reid.data.formats import is_image
from nas_reid.data.layout import SYNTHETIC_CARD
from nas_reid.data.readers.id_list import read_ids
from nas_reid.data.readers.listing import entries, locate, warn_left_out
from nas_reid.data.readers.mat_file import load_mat
from nas_reid.data.readers.official import Counts, compared
from nas_reid.data.readers.options import check_option
from nas_reid.data.readers.random_galleries import draw_gallery
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.trial import Trial
from nas_reid.errors import DataError, some

CAMERAS = ("cam1", "cam2", "cam3", "cam4", "cam5", "cam6")
INFRARED = frozenset({2, 5})
SEARCHES = {"all-search": frozenset({0, 1, 3, 4}), "indoor-search": frozenset({0, 1})}
"""Name -> cameras of the gallery, from 0."""
SHOTS = {"single-shot": 1, "multi-shot": 10}
NUM_TRIALS = 10
PERMUTATIONS = "exp/rand_perm_cam.mat"
OFFICIAL: dict[bool, Counts] = {
    with_val: {"train": train, "query": (3_803, 96), "gallery": (6_775, 96)}
    for with_val, train in ((True, (34_167, 395)), (False, (30_213, 296)))
}


def read_sysu_mm01(root: Path, *, with_val: bool = True, galleries: str = "seeded") -> Dataset:
    """Read SYSU-MM01: infrared queries, galleries of visible images; ten trials of each of four settings.

    The settings are all-search and indoor-search, single-shot and multi-shot; the headline is all-search single-shot.
    A query ignores all images from its own room (cameras 2 and 3 share one), and the CMC is over people.

    Args:
        root: the folder with ``cam1`` to ``cam6`` and ``exp``, or its parent (``SYSU-MM01``).
        with_val: train on the 99 validation identities too, as publications do (395 in all). They are known as the
            validation identities, so that ``validation_by=official`` and ``split.by=official`` find them.
        galleries: ``seeded``: drawn as AGW's public code does; ``official``: by the authors' fixed permutations, from
            ``exp/rand_perm_cam.mat`` (a file of their evaluation code). Means over ten trials hardly differ.

    Raises:
        ConfigError: an option out of range.
        DataError: folders or lists missing, listed identities without images, or permutations of other images.
    """
    check_option("with_val", with_val, (False, True))
    check_option("galleries", galleries, ("seeded", "official"))
    base = locate("sysu_mm01", root, (*CAMERAS, "exp"), inside="SYSU-MM01")
    ids = {part: read_ids(base / f"exp/{part}_id.txt") for part in ("train", "val", "test")}
    images = _images(base, ids)
    train = [sample for part in ("train", "val")[:1 + with_val] for pid in ids[part] for sample in images[pid]]
    test = [sample for pid in ids["test"] for sample in images[pid]]
    query, gallery = (tuple(sorted(s for s in test if s.modality == modality)) for modality in (1, 0))
    permutations = _permutations(base / PERMUTATIONS) if galleries == "official" else None
    lists = Dataset("sysu_mm01", base, tuple(sorted(train)), query, gallery,
                    trials=tuple(sysu_trials(query, gallery, permutations)),
                    validation_pids=frozenset(ids["val"] if with_val else ()))
    if (base / SYNTHETIC_CARD).exists():
        return lists
    return compared(lists, OFFICIAL[with_val], title="SYSU-MM01")


def sysu_trials(query: Sequence[Sample], gallery: Sequence[Sample],
                permutations: np.ndarray | None = None) -> Iterator[Trial]:
    """The trials over the infrared and the visible test images.

    Args:
        query, gallery: the two lists.
        permutations: the official ones, or None to draw.
    """
    everyone = range(len(query))
    for search, cameras in SEARCHES.items():
        positions = [i for i, sample in enumerate(gallery) if sample.camid in cameras]
        for shot, count in SHOTS.items():
            for trial in range(NUM_TRIALS):
                chosen = (draw_gallery(gallery, positions, shots=count, trial=trial) if permutations is None else
                          _official_gallery(gallery, positions, permutations, shots=count, trial=trial))
                yield Trial(f"{search} {shot}", everyone, chosen, junk="same_room", cmc="identities")


def _images(base: Path, ids: dict[str, list[int]]) -> dict[int, list[Sample]]:
    """The images of all cameras by identity."""
    images: defaultdict[int, list[Sample]] = defaultdict(list)
    listed = []
    for camid, camera in enumerate(CAMERAS):
        for folder in entries(base / camera):
            if not folder.isdigit() or not (base / camera / folder).is_dir():
                continue
            paths = [f"{camera}/{folder}/{name}" for name in entries(base / camera / folder)]
            images[int(folder)] += [Sample(path, int(folder), camid, int(camid in INFRARED))
                                    for path in paths if is_image(path)]
            listed += paths
    warn_left_out(base, listed)
    for part, pids in ids.items():
        if absent := [pid for pid in pids if not images[pid]]:
            raise DataError(f"{base}/exp/{part}_id.txt names {len(pids)} identities, of which {len(absent)} have no "
                            f"image in {CAMERAS[0]} to {CAMERAS[-1]}: {some([str(pid) for pid in absent])}; put the "
                            "folders back (such as cam1/0001/0001.jpg), or fetch a complete copy of the data set")
    doubled = sorted(pid for pid in images if sum(pid in pids for pids in map(set, ids.values())) > 1)
    if doubled or 0 in images:
        raise DataError(f"{base}: identities must be numbered from 1 and be in one of exp/train_id.txt, val_id.txt and "
                        f"test_id.txt; check {some([str(pid) for pid in doubled]) or 'identity 0'}")
    return images


def _permutations(path: Path) -> np.ndarray:
    """Per camera and identity, from 0, a matrix [trials, images] of image numbers from 1."""
    return np.ravel(load_mat(path, ("rand_perm_cam",))["rand_perm_cam"])


def _official_gallery(gallery: Sequence[Sample], positions: Sequence[int], permutations: np.ndarray, *, shots: int,
                      trial: int) -> tuple[int, ...]:
    place = {(s.pid, s.camid, PurePosixPath(s.path).stem): i for i, s in ((i, gallery[i]) for i in positions)}
    chosen = []
    for pid, camid in sorted({(gallery[i].pid, gallery[i].camid) for i in positions}):
        try:
            numbers = np.atleast_2d(np.ravel(permutations[camid])[pid - 1])[trial, :shots]
            chosen += [place[pid, camid, f"{int(number):04d}"] for number in numbers]
        except (IndexError, KeyError, TypeError, ValueError):
            raise DataError(f"{PERMUTATIONS} does not fit the images of person {pid} in {CAMERAS[camid]}; it must be "
                            "the file of the official evaluation, for the official images (cam1/0001/0001.jpg, ...). "
                            "data.options.galleries=seeded needs none") from None
    return tuple(sorted(chosen))
