"""Lists of ImageNet-style folders and of drawn people, and what is wrong with a folder."""

import shutil
from pathlib import Path

import pytest

from nas_reid.data.class_images import open_class_images, read_class_folders
from nas_reid.errors import ConfigError, DataError
from tests.data.class_folders import write_classes

DRAWN = {"size": "tiny", "train_ids": 3, "test_ids": 2, "distractor_ids": 0, "image_size": [32, 16]}


def test_classes_are_numbered_by_name_in_both_parts(tmp_path: Path) -> None:
    images = read_class_folders(write_classes(tmp_path))
    assert images.classes == ("n00", "n01", "n02")
    assert images.train.paths[:5] == ("train/n00/0.png", "train/n00/1.png", "train/n00/2.png", "train/n00/3.png",
                                      "train/n01/0.png")
    assert images.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert images.val.labels.tolist() == [0, 0, 1, 1, 2, 2] and images.val.paths[-1] == "val/n02/1.png"


def test_only_images_count(tmp_path: Path) -> None:
    """ImageNet's own files end with JPEG in capitals."""
    write_classes(tmp_path, suffix=".JPEG")
    (tmp_path / "train" / "n00" / "notes.txt").write_text("")
    (tmp_path / "train" / "n00" / ".hidden.png").write_text("")
    (tmp_path / "train" / "list.csv").write_text("")
    (tmp_path / "val" / ".cache").mkdir()
    assert len(read_class_folders(tmp_path).train.paths) == 12


@pytest.mark.parametrize(("damage", "message"), [
    (lambda root: shutil.rmtree(root), r"data\.root=\S+ is not a folder; expected train/<class>/\*\.jpg and val/"),
    (lambda root: shutil.rmtree(root / "val"), r"has no folder val; .*\n  found: \S+ with 1 entries: train"),
    (lambda root: [shutil.rmtree(folder) for folder in (root / "train").iterdir()],
     r"train has no folder of a class; expected train/<class>/.*is empty"),
    (lambda root: shutil.rmtree(root / "val" / "n01"), r"train has 3 classes and val 2, .*in train alone: n01"),
    (lambda root: (root / "val" / "n09").mkdir(), r"train has 3 classes and val 4, .*in val alone: n09"),
    (lambda root: [file.unlink() for file in (root / "train" / "n02").iterdir()],
     r"1 classes have no image: train/n02; put some there or remove the folders"),
    (lambda root: [file.rename(file.with_suffix(".heic")) for file in (root / "val" / "n02").iterdir()],
     r"1 classes have no image: val/n02; .* left out 2 entries that are no images \(2 \.heic\), such as val/n02/0"),
])
def test_a_folder_of_another_form_is_refused(damage, message: str, tmp_path: Path) -> None:
    root = write_classes(tmp_path / "images")
    damage(root)
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_class_folders(root)


def test_one_class_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the single class n00; a classifier needs two or more"):
        open_class_images(root=str(write_classes(tmp_path, classes=1)), synthetic={}, cache=None, workers=1)


def test_drawn_people_are_classes_and_their_images_are_split(tmp_path: Path) -> None:
    images = open_class_images(root=None, synthetic=DRAWN, cache=str(tmp_path), workers=1)
    assert len(images.classes) == 3
    people = {part: [path.split("/")[-1].split("_")[0] for path in getattr(images, part).paths]
              for part in ("train", "val")}
    for part, named in people.items():
        assert [images.classes[label] for label in getattr(images, part).labels] == [str(int(pid)) for pid in named]
    counts = {pid: (people["train"].count(pid), people["val"].count(pid)) for pid in people["train"]}
    assert all(val == (train + val) // 4 > 0 for train, val in counts.values())
    assert not set(images.train.paths) & set(images.val.paths)


def test_pairs_of_modalities_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.synthetic\.layout=regdb .*use market1501"):
        open_class_images(root=None, synthetic={**DRAWN, "layout": "regdb"}, cache=str(tmp_path), workers=1)
