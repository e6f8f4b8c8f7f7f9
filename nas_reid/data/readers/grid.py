"""QMUL underGround Re-IDentification, GRID (Loy, Xiang & Gong, Multi-Camera Activity Correlation Analysis, 2009)."""

import re
from pathlib import Path

import numpy as np

from nas_reid.data.readers.listing import locate, named_images
from nas_reid.data.readers.mat_file import load_mat
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.options import check_option
from nas_reid.data.sample import Dataset, Sample
from nas_reid.errors import DataError, some

OFFICIAL = {"train": (250, 125), "query": (125, 125), "gallery": (900, 126)}
_PARTITIONS = "features_and_partitions.mat"
_TRAIN_IDS = 2  # place of the training ids among the fields of a partition
_NAME = re.compile(r"(\d+)_(\d+)_")  # {id}_{camera}_...


def read_grid(root: Path, *, split: int = 0) -> Dataset:
    """Read one of the ten official partitions of GRID; results are means over the partitions.

    The 775 people of id 0 are distractors: in every gallery, never trained on.

    Args:
        root: the folder with ``probe``, ``gallery`` and ``features_and_partitions.mat``, or a parent that holds it as
            ``underground_reid`` or ``grid/underground_reid``.
        split: 0 to 9.

    Raises:
        ConfigError: ``split`` out of range.
        DataError: folders missing or empty, or partitions that are none or do not fit the images.
    """
    check_option("split", split, range(10))
    base = locate("grid", root, ("probe", "gallery", _PARTITIONS), inside="grid/underground_reid")
    training = _training_ids(base / _PARTITIONS, split)
    probe, gallery = ([Sample(path, int(match[1]), int(match[2]) - 1) for path, match in
                       named_images(base, folder, _NAME, example="0001_1_25004_107_32_106_221.jpeg")]
                      for folder in ("probe", "gallery"))
    if absent := sorted(training - ({s.pid for s in probe} & {s.pid for s in gallery})):
        raise DataError(f"{base / _PARTITIONS}: partition {split} trains on ids that probe and gallery do not both "
                        f"have: {some([str(pid) for pid in absent])}; fetch a complete copy of the data set")
    lists = Dataset("grid", base, train=tuple(sorted(s for s in (*probe, *gallery) if s.pid in training)),
                    query=tuple(s for s in probe if s.pid not in training),
                    gallery=tuple(s for s in gallery if s.pid not in training))
    return compared(lists, OFFICIAL, title="GRID")


def _training_ids(path: Path, split: int) -> set[int]:
    partitions = load_mat(path, ("trainIdxAll",))["trainIdxAll"]
    try:
        ids = {int(pid) for pid in np.ravel(np.ravel(partitions)[split].item()[_TRAIN_IDS])}
    except (IndexError, TypeError, ValueError, AttributeError):
        raise DataError(f"{path}: trainIdxAll has no partition {split} with the ids to train on; "
                        "it is not GRID's file of partitions, fetch it again") from None
    if not ids or min(ids) < 1:
        raise DataError(f"{path}: partition {split} trains on ids {sorted(ids)[:5]}, which cannot be: ids start at 1")
    return ids
