"""One list says which files are images, and every still format that Pillow reads is on it."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.data.decoding import decode
from nas_reid.data.formats import IMAGE_SUFFIXES, STILL_FORMATS, is_image, left_out, still_formats
from nas_reid.data.readers import read_dataset
from nas_reid.deploy.feature_extractor import image_files
from tests.data.cross_modal_miniatures import write_llcm, write_sysu
from tests.data.miniatures import touch

NOT_STILL = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "FLI", "MPEG", "IPTC"}


def test_the_list_has_every_suffix_of_every_still_format_of_pillow() -> None:
    Image.init()
    known = {suffix: name for suffix, name in Image.registered_extensions().items() if name in Image.OPEN}
    still = {suffix for suffix, name in known.items() if name not in NOT_STILL}
    assert still <= IMAGE_SUFFIXES and IMAGE_SUFFIXES - still <= {".avif", ".avifs"}  # of Pillow 11.3
    assert not NOT_STILL & set(STILL_FORMATS) and set(still_formats()) <= set(STILL_FORMATS)


@pytest.mark.parametrize("suffix", [".jfif", ".webp", ".gif", ".jp2", ".ppm", ".tga", ".dds", ".pcx", ".sgi", ".qoi",
                                    ".ico", ".im", ".dib", ".TIFF", ".apng", ".avif"])
def test_a_picture_in_any_of_them_is_listed_and_read(suffix: str, tmp_path: Path) -> None:
    if suffix.lower() not in Image.registered_extensions():
        pytest.skip(f"this Pillow writes no {suffix}")
    picture = Image.fromarray(np.full((16, 16, 3), (250, 120, 30), np.uint8))
    for folder, name in (("train", "1_c1"), ("query", "2_c1"), ("gallery", "2_c2")):
        (tmp_path / folder).mkdir()
        picture.save(tmp_path / folder / f"{name}{suffix}")
    dataset = read_dataset("folder", tmp_path)
    assert [sample.path for sample in dataset.train] == [f"train/1_c1{suffix}"] and not dataset.warnings
    assert image_files(tmp_path)[2] == tmp_path / "train" / f"1_c1{suffix}"
    with Image.open(tmp_path / dataset.train[0].path, formats=still_formats()) as opened:
        assert opened.size == (16, 16)
    pixels = decode(tmp_path / dataset.train[0].path, (8, 4)).astype(int)
    assert np.abs(pixels - (250, 120, 30)).max() < 16  # GIF's palette and the lossy formats are that coarse


def test_hidden_files_are_no_images() -> None:
    assert is_image("a/0001.jpg") and is_image(Path("a.b/0001.JPG"))
    assert not any(map(is_image, ("._0001.jpg", "a/._0001.jpg", ".jpg", "jpg", "0001.txt", "0001.jpg.part", "a.eps")))


def test_what_is_left_out_is_counted_by_suffix(tmp_path: Path) -> None:
    names = ["b.txt", "a.jpg", "c.TXT", "d.heic", "e", "._a.jpg", ".DS_Store", "Thumbs.db", "inner"]
    touch(tmp_path, names[:-1])
    (tmp_path / "inner").mkdir()
    assert left_out(tmp_path, sorted(names)) == ("left out 5 entries that are no images (2 .txt, 1 .heic, 1 without "
                                                 "suffix, 1 folder), such as b.txt")
    assert left_out(tmp_path, ["a.jpg", "._a.jpg"]) == ""


def test_readers_say_what_they_leave_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for folder, name in (("train", "1_c1"), ("query", "2_c1"), ("gallery", "2_c2")):
        touch(tmp_path / folder, [f"{name}.webp", f"._{name}.webp", f"{name}.heic"])
    with caplog.at_level(logging.WARNING):
        dataset = read_dataset("folder", tmp_path)
        assert len(image_files(tmp_path)) == 3
    assert dataset.warnings[0] == "train: left out 1 entries that are no images (1 .heic), such as 1_c1.heic"
    assert len(dataset.warnings) == 3 and "(3 .heic), such as gallery/2_c2.heic" in caplog.messages[-1]


@pytest.mark.parametrize(("name", "write"), [("sysu_mm01", write_sysu), ("llcm", write_llcm)])
def test_hidden_copies_beside_infrared_images_are_passed_over(name: str, write: Callable[[Path], Path], tmp_path: Path,
                                                              caplog: pytest.LogCaptureFixture) -> None:
    before = read_dataset(name, write(tmp_path))
    images = sorted(tmp_path.rglob("*.jpg"))
    for image in images:
        image.with_name(f"._{image.name}").touch()
    (images[len(images) // 2].parent / "notes.txt").touch()
    caplog.clear()
    assert read_dataset(name, tmp_path) == before
    assert caplog.text.count("left out 1 entries that are no images (1 .txt), such as ") == 1
