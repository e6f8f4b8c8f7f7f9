"""Batches of classified images: reproducible, complete, and bounded in memory."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import nas_reid.data.class_batches as class_batches
from nas_reid.data.augment import build_augment
from nas_reid.data.class_batches import CentreCropBatches, RandomCropBatches
from nas_reid.data.class_images import ClassImages, read_class_folders
from nas_reid.data.decoding import decode
from nas_reid.data.normalise import normalise
from nas_reid.errors import DataError
from tests.data.class_folders import write_classes

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ClassImages:
    return read_class_folders(write_classes(tmp_path_factory.mktemp("classes"), train=5))


def training(images: ClassImages, **changes) -> RandomCropBatches:
    options = {"batch_size": 4, "image_size": (16, 16), "scale": (0.08, 1.0), "ratio": (0.75, 1.3333),
               "augment": build_augment({"flip": {"p": 0.5}}), "seed": 0, "device": CPU, "workers": 2}
    return RandomCropBatches(images.train, **{**options, **changes})


def test_an_epoch_is_a_function_of_seed_and_epoch_whatever_the_number_of_threads(images: ClassImages) -> None:
    first, again = (list(training(images, workers=workers).epoch(3)) for workers in (1, 4))
    assert len(first) == len(training(images)) == 15 // 4
    assert all(torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
               for a, b in zip(first, again, strict=True))
    for other in (training(images).epoch(4), training(images, seed=1).epoch(3)):
        assert not torch.equal(next(other).images, first[0].images)
        other.close()


def test_an_epoch_takes_every_image_once_at_most_and_crops_show_their_class(images: ClassImages) -> None:
    batches = list(training(images, batch_size=5, augment=build_augment({})).epoch(0))
    labels = torch.cat([batch.labels for batch in batches])
    assert labels.bincount().tolist() == [5, 5, 5]
    pixels = torch.cat([batch.images for batch in batches])
    assert pixels.shape == (15, 3, 16, 16) and pixels.dtype == torch.float32
    assert torch.equal(pixels.mean((2, 3)).argmax(1), labels)  # the brightest channel tells the class


def test_the_whole_image_without_augmentation_is_the_decoded_image(images: ClassImages) -> None:
    """Crops of the whole area in the image's own shape, 40 / 24."""
    batches = training(images, image_size=(24, 40), scale=(1.0, 1.0), ratio=(1.0, 1.0), augment=build_augment({}))
    batch = next(epoch := batches.epoch(0))
    epoch.close()
    order = torch.randperm(15, generator=batches._generator("order", 0))[:4]
    expected = torch.tensor(np.stack([decode(images.train.root / images.train.paths[row], (24, 40))
                                      for row in order.tolist()]))
    torch.testing.assert_close(batch.images, normalise(expected), atol=0.03, rtol=0)


def test_validation_takes_all_images_in_order_and_can_be_repeated(images: ClassImages) -> None:
    batches = CentreCropBatches(images.val, batch_size=4, image_size=(16, 16), centre=0.875, device=CPU, workers=2)
    first, second = list(batches), list(batches)
    assert [len(batch.labels) for batch in first] == [4, 2] and len(batches) == 2
    assert torch.cat([batch.labels for batch in first]).tolist() == images.val.labels.tolist()
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, second, strict=True))


def test_no_more_batches_than_threads_and_one_are_in_memory(images: ClassImages,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    begun, decode_all = [], class_batches._decode
    monkeypatch.setattr(class_batches, "_decode", lambda *arguments: (begun.append(1), decode_all(*arguments))[1])
    batches = training(images, batch_size=1, workers=2)
    epoch = batches.epoch(0)
    for taken in range(1, 5):
        next(epoch)
        assert len(begun) <= taken + 2
    epoch.close()
    assert batches.waited_s > 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nas_reid-data")]


def test_too_few_images_for_a_batch(images: ClassImages) -> None:
    with pytest.raises(DataError, match=r"a batch needs 16 images and .* has 15 to train on; lower batch_size"):
        training(images, batch_size=16)


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    root = write_classes(tmp_path)
    (root / "train" / "n01" / "2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot read the image \S+train/n01/2\.png: .*replace or remove the file"):
        list(training(read_class_folders(root), batch_size=12).epoch(0))
