"""Lists, names and numbers as other systems write them."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.data.readers import LARGEST_NUMBER, read_dataset
from nas_reid.data.readers.id_list import read_ids, read_labelled
from nas_reid.data.sample import Sample, identity_digest
from nas_reid.data.store import build_store
from nas_reid.errors import DataError
from tests.data.miniatures import touch


def folder(root: Path, name: str) -> Path:
    touch(root / "train", ["1_c1.jpg", name])
    touch(root / "query", ["3_c1.jpg"])
    touch(root / "gallery", ["3_c2.jpg"])
    return root


def test_the_mark_of_an_editor_is_no_part_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_bytes("7,3\r\n".encode("utf-8-sig"))
    (tmp_path / "list.txt").write_bytes("a/1.jpg 0\r\nb/2.jpg 1\r\n".encode("utf-8-sig"))
    assert read_ids(tmp_path / "ids.txt") == [3, 7]
    assert read_labelled(tmp_path / "list.txt") == [("a/1.jpg", 0), ("b/2.jpg", 1)]


@pytest.mark.parametrize(("name", "what"), [(f"2_c{10**20}.jpg", f"camera {10**20 - 1}"),
                                            (f"{10**22}_c1.jpg", f"identity {10**22}"),
                                            (f"{2**31}_c1.jpg", f"identity {2**31}")])
def test_numbers_that_no_data_set_has_are_refused_with_the_image(name: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"train/{name}: {what} is no number from 0 to 2,147,483,647"):
        read_dataset("folder", folder(tmp_path, name))


def test_the_largest_numbers_are_read(tmp_path: Path) -> None:
    dataset = read_dataset("folder", folder(tmp_path, f"{LARGEST_NUMBER}_c{LARGEST_NUMBER}.jpg"))
    assert max(dataset.train, key=lambda sample: sample.pid).pid == LARGEST_NUMBER


def test_images_whose_names_are_not_utf8_are_stored(tmp_path: Path) -> None:
    names = [os.fsdecode(b"0011_c1s1_\xb2\xe2.png"), os.fsdecode(b"0011_c1s1_\xb2\xe3.png")]
    samples = [Sample(name, 11, 0) for name in names]
    for value, name in enumerate(names):
        Image.fromarray(np.full((4, 4, 3), 100 * value, np.uint8)).save(tmp_path / name, format="PNG")
    store = build_store(tmp_path, samples, image_size=(2, 2), cache_dir=tmp_path / "cache", workers=1,
                        on_corrupt="error")
    assert store.images[:, 0, 0, 0].tolist() == [0, 100]
    digests = {identity_digest([sample], {11: 0}, drawn=None) for sample in samples}
    assert len(digests) == 2
