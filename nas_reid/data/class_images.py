"""Images by class, for a pre-training: ImageNet's folders, or the people of a drawn data set."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas_reid.data.cache import cache_root
from nas_reid.data.formats import is_image, left_out
from nas_reid.data.readers import read_dataset
from nas_reid.data.readers.listing import entries, found, warn_left_out
from nas_reid.data.source import synthetic_spec
from nas_reid.data.synthetic import generate
from nas_reid.errors import ConfigError, DataError, some
from nas_reid.files.foreign import user_path
from nas_reid.parallel.turns import main_first

log = logging.getLogger(__name__)

_LAYOUT = "train/<class>/*.jpg and val/<class>/*.jpg"
_HELD_OUT = 4  # every fourth image of a drawn person is for validation
_DRAWN = "market1501"  # the layout that people are drawn in


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images on disk and their classes.

    Args:
        root: folder that the paths are relative to.
        paths: POSIX paths, N of them.
        labels: int64 [N], 0..C-1.
    """

    root: Path
    paths: tuple[str, ...]
    labels: Tensor


@dataclass(frozen=True, eq=False)
class ClassImages:
    """A classification data set.

    Args:
        classes: names; a label is a position here.
        train, val: the images.
    """

    classes: tuple[str, ...]
    train: LabelledImages
    val: LabelledImages


def open_class_images(*, root: str | None, synthetic: Mapping[str, Any], cache: str | None,
                      workers: int) -> ClassImages:
    """The lists of a folder, or of drawn people.

    Args:
        root: see ``read_class_folders``; None: the training people of a drawn data set, whose images are split.
        synthetic: arguments of ``SyntheticSpec``, for these.
        cache: folder for drawn images; None for ``cache_root()``.
        workers: drawing processes.

    Raises:
        ConfigError, DataError: see ``synthetic_spec``, ``read_class_folders``.
    """
    if root is not None:
        images = read_class_folders(user_path(root))
    else:
        spec = synthetic_spec(synthetic)
        if spec.layout != _DRAWN:
            raise ConfigError(f"data.synthetic.layout={spec.layout} has no classes for a pre-training; use {_DRAWN}")
        folder = user_path(cache) if cache else cache_root()
        with main_first():
            drawn = generate(folder / "synthetic", spec, workers=workers)
        images = _split_people(drawn)
    if len(images.classes) < 2:
        raise DataError(f"{images.train.root} has the single class {images.classes[0]}; a classifier needs two or more")
    log.info("%d classes, %d training and %d validation images in %s", len(images.classes), len(images.train.paths),
             len(images.val.paths), images.train.root)
    return images


def read_class_folders(root: Path) -> ClassImages:
    """The images of ``train/<class>/`` and ``val/<class>/``; classes are numbered in the order of their names.

    Raises:
        DataError: a part is missing or has no class, a class has no image, or the parts have different classes.
    """
    for part in ("train", "val"):
        if not (root / part).is_dir():
            what = f"has no folder {part}" if root.is_dir() else "is not a folder"
            raise DataError(f"data.root={root} {what}; expected {_LAYOUT}\n  found: {found(root)}")
    classes = {part: sorted(folder.name for folder in (root / part).iterdir() if folder.is_dir()
                            and not folder.name.startswith(".")) for part in ("train", "val")}
    if not classes["train"]:
        raise DataError(f"{root / 'train'} has no folder of a class; expected {_LAYOUT}\n"
                        f"  found: {found(root / 'train')}")
    lonely = {part: sorted(set(classes[part]) - set(classes[other]))
              for part, other in (("train", "val"), ("val", "train"))}
    if any(lonely.values()):
        raise DataError(f"{root}: train has {len(classes['train']):,} classes and val {len(classes['val']):,}, which "
                        "must be the same; " + "; ".join(f"in {part} alone: {some(names)}"
                                                         for part, names in lonely.items() if names))
    return ClassImages(tuple(classes["train"]), *(_images_below(root, part, classes[part]) for part in classes))


def _images_below(root: Path, part: str, classes: list[str]) -> LabelledImages:
    paths, labels, empty, listed = [], [], [], []
    for label, name in enumerate(classes):
        names = entries(root / part / name)
        files = [file for file in names if is_image(file)]
        listed += [f"{part}/{name}/{file}" for file in names]
        paths += [f"{part}/{name}/{file}" for file in files]
        labels += [label] * len(files)
        empty += [] if files else [f"{part}/{name}"]
    if empty:
        raise DataError(f"{root}: {len(empty):,} classes have no image: {some(empty)}; put some there or remove the "
                        f"folders. {left_out(root, listed) or 'They hold nothing at all'}")
    warn_left_out(root, listed)
    return LabelledImages(root, tuple(paths), torch.tensor(labels))


def _split_people(root: Path) -> ClassImages:
    """The training people as classes; every fourth image of each is for validation."""
    dataset = read_dataset(_DRAWN, str(root))
    by_person: dict[int, list[str]] = {}
    for sample in dataset.train:
        by_person.setdefault(sample.pid, []).append(sample.path)
    people = sorted(by_person)
    parts: dict[bool, tuple[list[str], list[int]]] = {False: ([], []), True: ([], [])}
    for label, pid in enumerate(people):
        for position, path in enumerate(by_person[pid]):
            paths, labels = parts[position % _HELD_OUT == _HELD_OUT - 1]
            paths.append(path)
            labels.append(label)
    train, val = (LabelledImages(dataset.root, tuple(paths), torch.tensor(labels, dtype=torch.int64))
                  for paths, labels in parts.values())
    if not val.paths:
        raise DataError(f"no drawn person has {_HELD_OUT} images, so none are left to validate on; raise the number of "
                        "images per camera (data.synthetic)")
    return ClassImages(tuple(map(str, people)), train, val)
