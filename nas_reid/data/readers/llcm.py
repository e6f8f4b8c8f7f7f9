"""LLCM, low light, visible and near infrared (Zhang & Wang, Diverse Embedding Expansion Network and Low-Light
Cross-Modality Benchmark, CVPR 2023)."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from nas_reid.data.formats import is_image
from nas_reid.data.readers.id_list import read_ids, read_labelled
from nas_reid.data.readers.listing import entries, locate, require_images, warn_left_out
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.random_galleries import draw_gallery
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.trial import Trial
from nas_reid.errors import DataError, some

OFFICIAL = {"train": (30_921, 713), "query": (15_846, 351), "gallery": (15_846, 351)}
NUM_TRIALS = 10
FOLDERS = ("vis", "nir")
"""How the files spell the modalities 0 and 1."""
_NAME = re.compile(r"(\d+)_c(\d+)_")  # {pid}_c{cam}_s..._f..._{vis or nir}.jpg
_CAMERA = re.compile(r"cam(\d+)")


def read_llcm(root: Path) -> Dataset:
    """Read LLCM: ten trials each of infrared to visible (the headline) and visible to infrared.

    A gallery has one random image of every person in every camera. Images of the query's person from the camera of the
    same number do not count, and the CMC is over people. People are numbered one higher than in the file names.

    Args:
        root: the folder with ``idx``, ``vis``, ``nir``, ``test_vis`` and ``test_nir``, or its parent (``LLCM``).

    Raises:
        DataError: folders or lists missing, listed images or people that are not there, or other file names.
    """
    lists = [f"idx/train_{folder}.txt" for folder in FOLDERS]
    base = locate("llcm", root, ("test_vis", "test_nir", "idx/test_id.txt", *lists), inside="LLCM")
    train = [_training_sample(path, modality, name) for modality, name in enumerate(lists)
             for path, _ in read_labelled(base / name)]
    require_images(base, train, listed_in="idx/train_vis.txt and train_nir.txt")
    ids = read_ids(base / "idx/test_id.txt")
    test = tuple(sorted(_test_samples(base, set(ids))))
    if absent := sorted(set(ids) - {sample.pid - 1 for sample in test}):
        raise DataError(f"{base}/idx/test_id.txt names {len(ids)} people, of whom {len(absent)} have no image in "
                        f"test_vis and test_nir: {some([str(pid) for pid in absent])}; fetch a complete copy")
    if shared := {sample.pid for sample in train} & {sample.pid for sample in test}:
        raise DataError(f"{base}/idx: {len(shared)} people of test_id.txt are in the training lists too, such as "
                        f"{min(shared) - 1:04d}; fetch the lists again")
    dataset = Dataset("llcm", base, tuple(sorted(train)), test, test, trials=tuple(_trials(test)))
    return compared(dataset, OFFICIAL, title="LLCM")


def _training_sample(path: str, modality: int, listed_in: str) -> Sample:
    match = _NAME.match(PurePosixPath(path).name)
    if match is None:
        raise DataError(f"{listed_in} names an image {path!r}; expected a name like 0001_c01_s185535_f7010_nir.jpg, "
                        "with the person and the camera")
    return Sample(path, int(match[1]) + 1, int(match[2]) - 1, modality)


def _test_samples(base: Path, ids: set[int]) -> Iterator[Sample]:
    """The images of ``test_{vis,nir}/cam{1..9}/{pid}``; nobody is in all of them."""
    listed = []
    for modality, kind in enumerate(FOLDERS):
        cameras = [match for match in map(_CAMERA.fullmatch, entries(base / f"test_{kind}")) if match]
        if not cameras:
            raise DataError(f"{base / f'test_{kind}'} has no folder of a camera; expected cam1, cam2, ...")
        for camera in cameras:
            for person in entries(base / f"test_{kind}/{camera[0]}"):
                folder = f"test_{kind}/{camera[0]}/{person}"
                if person.isdigit() and int(person) in ids:
                    paths = [f"{folder}/{name}" for name in entries(base / folder)]
                    listed += paths
                    yield from (Sample(path, int(person) + 1, int(camera[1]) - 1, modality)
                                for path in paths if is_image(path))
    warn_left_out(base, listed)


def _trials(test: Sequence[Sample]) -> Iterator[Trial]:
    visible, infrared = ([i for i, s in enumerate(test) if s.modality == modality] for modality in (0, 1))
    for name, query, gallery in (("infrared to visible", infrared, visible),
                                 ("visible to infrared", visible, infrared)):
        for trial in range(NUM_TRIALS):
            yield Trial(name, tuple(query), draw_gallery(test, gallery, shots=1, trial=trial), cmc="identities")
