"""Several data sets to train on as one."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nas_reid.data.places import OWN_PLACE
from nas_reid.data.sample import Dataset
from nas_reid.errors import ConfigError, DataError


def merge_training(datasets: Sequence[Dataset]) -> Dataset:
    """The training images of all, with identities and cameras renumbered so that no two data sets share one.

    Pids and camids of the first stay, those of the next begin after its largest, and so on. The root is the folder
    that contains all roots; query and gallery are empty. A single data set keeps its root.

    Raises:
        DataError: a data set without training images.
        ConfigError: an image that belongs to two of them.
    """
    roots = [dataset.root.resolve() for dataset in datasets]
    root = Path(os.path.commonpath(roots))
    train, validation, pids, camids, places, sequences = [], set(), 0, 0, 0, 0
    for dataset, own_root in zip(datasets, roots, strict=True):
        if not dataset.train:
            raise DataError(f"{dataset.name} in {dataset.root} has no training images; it can only be a target")
        folder = own_root.relative_to(root)
        train += [replace(sample, path=(folder / sample.path).as_posix(), pid=sample.pid + pids,
                          camid=sample.camid + (places if sample.camid >= OWN_PLACE else camids),
                          sequence=sample.sequence + sequences if sample.sequence >= 0 else -1)
                  for sample in dataset.train]
        validation |= {pid + pids for pid in dataset.validation_pids}
        pids += 1 + max(sample.pid for sample in dataset.train)
        camids += 1 + max((s.camid for s in dataset.train if s.camid < OWN_PLACE), default=-1)
        places += 1 + max((s.camid - OWN_PLACE for s in dataset.train if s.camid >= OWN_PLACE), default=-1)
        sequences += 1 + max(sample.sequence for sample in dataset.train)
    if len({sample.name for sample in train}) < len(train):
        raise ConfigError(f"two of the data sets in {', '.join(map(str, roots))} have images in common; name each of "
                          "the sources once")
    return Dataset("+".join(dataset.name for dataset in datasets), root, tuple(sorted(train)), (), (),
                   validation_pids=frozenset(validation))
