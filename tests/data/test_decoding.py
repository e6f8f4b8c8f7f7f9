"""What is opened as a picture, and what is not: programs, pipes, devices."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, Image

from nas_reid.data.class_batches import CentreCropBatches
from nas_reid.data.class_images import LabelledImages
from nas_reid.data.decoding import decode, decode_box, open_picture, read_picture
from nas_reid.data.readers.id_list import read_ids, read_labelled
from nas_reid.data.sample import Sample
from nas_reid.data.store import build_store
from nas_reid.errors import DataError, GenotypeError
from nas_reid.genotype import Genotype


def opened_by_everything(path: Path) -> list[Exception]:
    """What each way to read a picture raises."""
    raised = []
    for read in (open_picture, read_picture, lambda path: decode(path, (8, 4)),
                 lambda path: decode_box(path, lambda *_: (0, 0, 1, 1), (8, 4))):
        with pytest.raises(OSError) as caught:
            read(path)
        raised.append(caught.value)
    return raised


def test_a_program_that_draws_is_no_picture_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started"))
    Image.new("RGB", (8, 16)).save(tmp_path / "0001.eps")
    (tmp_path / "0001.eps").rename(tmp_path / "0001.jpg")
    assert all("cannot identify image file" in str(error) for error in opened_by_everything(tmp_path / "0001.jpg"))


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A pipe named as a picture: whoever opens it waits for ever."""
    os.mkfifo(tmp_path / "0001.jpg")
    return tmp_path / "0001.jpg"


def test_a_pipe_is_no_picture(pipe: Path) -> None:
    assert all("it is a pipe (FIFO), not a regular file" in str(error) for error in opened_by_everything(pipe))


def test_a_pipe_among_the_images_is_named(pipe: Path) -> None:
    with pytest.raises(DataError, match=r"1 of 1 images.*\n  0001\.jpg: it is a pipe"):
        build_store(pipe.parent, [Sample("0001.jpg", 1, 0)], image_size=(8, 4), cache_dir=pipe.parent / "cache",
                    workers=1, on_corrupt="error")
    images = LabelledImages(pipe.parent, ("0001.jpg",), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(DataError, match=r"cannot read the image .*0001\.jpg: it is a pipe"):
        list(CentreCropBatches(images, batch_size=1, image_size=(8, 4), centre=1.0, device=torch.device("cpu"),
                               workers=1))


def test_a_pipe_or_a_device_is_no_list_and_no_genotype(pipe: Path) -> None:
    for path, kind in ((pipe, "pipe"), (Path("/dev/zero"), "device")):
        for read in (read_ids, read_labelled):
            with pytest.raises(DataError, match=f"cannot read {path}: it is a {kind}"):
                read(path)
        with pytest.raises(GenotypeError, match=f"cannot read genotype {path}: it is a {kind}"):
            Genotype.load(path)


def test_a_link_to_a_picture_is_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").symlink_to("a.png")
    assert np.array_equal(decode(tmp_path / "b.jpg", (8, 4)), pixels)
