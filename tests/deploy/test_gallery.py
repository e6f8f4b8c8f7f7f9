"""Looking for images in a folder: the nearest, and features that are kept between searches."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_reid.deploy.feature_extractor import FeatureExtractor, image_files
from nas_reid.deploy.gallery import cached_features, nearest_images
from nas_reid.errors import ConfigError, DataError
from tests.cli.trained_checkpoint import save_trained


class Means:
    """Stands for a network: the mean colour of an image is its embedding."""

    identity = "means"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def read(self, image: str | Path) -> np.ndarray:
        try:
            return np.asarray(Image.open(image).convert("RGB").resize((2, 2)))
        except OSError as error:
            raise DataError(str(error)) from error

    def embed(self, images: np.ndarray, *, names: list[str]) -> torch.Tensor:
        self.seen += names
        return torch.from_numpy(images.reshape(len(images), -1, 3).mean(axis=1)).float()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images" / "below").mkdir(parents=True)
    for name, grey in (("a.png", 10), ("below/b.png", 20), ("c.png", 40)):
        Image.new("RGB", (4, 4), (grey,) * 3).save(tmp_path / "images" / name)
    return tmp_path / "images"


def kept(extractor: Means, folder: Path):
    extractor.seen.clear()
    return cached_features(extractor, folder, image_files(folder), cache=folder.parent / "cache", batch_size=2)


def test_the_nearest_in_loops() -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.integers(-9, 9, size=(7, 5)), rng.integers(-9, 9, size=(30, 5))
    found = nearest_images(torch.from_numpy(query), torch.from_numpy(gallery), k=6, distance="euclidean",
                           own={3: 11}, paths=[str(n) for n in range(30)])
    for row, anchor in enumerate(query.tolist()):
        squares = [sum((a - b) ** 2 for a, b in zip(anchor, other, strict=True)) for other in gallery.tolist()]
        order = sorted((n for n in range(30) if (row, n) != (3, 11)), key=squares.__getitem__)[:6]
        assert found.indices[row].tolist() == order
        assert found.distances[row].tolist() == pytest.approx([squares[n] ** 0.5 for n in order])


def test_short_galleries_and_impossible_wishes() -> None:
    one = torch.ones(1, 3)
    found = nearest_images(one, torch.cat([one, 2 * one]), k=3, distance="cosine", own={0: 1})
    assert found.indices.tolist() == [[0, -1, -1]] and found.distances[0, 1:].isinf().all()
    with pytest.raises(ConfigError, match="k=0 must be at least 1"):
        nearest_images(one, one, k=0, distance="cosine")
    with pytest.raises(DataError, match="without zeros"):
        nearest_images(one, one[:0], k=1, distance="cosine")


def test_only_what_is_new_is_extracted(folder: Path) -> None:
    means = Means()
    first = kept(means, folder)
    assert first.paths == ["a.png", "below/b.png", "c.png"] == sorted(means.seen)
    assert first.features.tolist() == [[10] * 3, [20] * 3, [40] * 3]
    assert kept(means, folder).features.tolist() == first.features.tolist() and means.seen == []
    Image.new("RGB", (4, 4), (30,) * 3).save(folder / "a.png")
    os.utime(folder / "a.png", ns=(1, 1))
    Image.new("RGB", (4, 4), (50,) * 3).save(folder / "d.png")
    (folder / "c.png").unlink()
    changed = kept(means, folder)
    assert means.seen == ["a.png", "d.png"] and changed.paths == ["a.png", "below/b.png", "d.png"]
    assert changed.features.tolist() == [[30] * 3, [20] * 3, [50] * 3]
    assert kept(means, folder).paths == changed.paths and means.seen == []
    means.identity = "another network"
    assert len(kept(means, folder).paths) == len(means.seen) == 3


def test_a_damaged_cache_is_made_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    means = Means()
    kept(means, folder)
    [file] = (folder.parent / "cache").iterdir()
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert kept(means, folder).features.tolist() == [[10] * 3, [20] * 3, [40] * 3] and len(means.seen) == 3
    assert "are damaged and are computed again" in caplog.text


def test_files_that_cannot_be_read_are_named_and_not_kept(folder: Path) -> None:
    (folder / "z.png").write_bytes(b"no image")
    for _ in range(2):
        found = kept(Means(), folder)
        assert len(found.paths) == 3 and found.failures[0].startswith("z.png: ")


def test_the_extractor_searches_folders_images_and_features(folder: Path, tmp_path: Path) -> None:
    save_trained(tmp_path / "best.pt")
    extractor = FeatureExtractor(tmp_path / "best.pt")
    found = extractor.search(folder / "a.png", folder, k=2, cache=tmp_path / "cache")
    assert found.paths[found.indices[0, 0]] == "a.png" and found.distances[0, 0] < 1e-5
    files = image_files(folder)
    for gallery in (files, extractor(files)):
        other = extractor.search([folder / "a.png"], gallery, k=2)
        assert torch.equal(other.indices, found.indices) and other.paths == ()
        assert torch.allclose(other.distances, found.distances, atol=1e-5)
    assert extractor.identity == FeatureExtractor(tmp_path / "best.pt").identity
    assert extractor.identity != FeatureExtractor(tmp_path / "best.pt", flip=True).identity
    (folder / "z.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 images of .* cannot be read: z\.png"):
        extractor.search(folder / "a.png", folder, cache=tmp_path / "cache")
