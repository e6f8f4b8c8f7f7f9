"""The store's file: its checksums, and what happens when it changes while it is in use."""

import mmap
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_reid.data import store_file
from nas_reid.data.store import ImageStore
from nas_reid.data.store_file import StoredImages, checksums, open_images, write_end
from nas_reid.errors import DataError

SIZE = (8, 6)


def write(file: Path, count: int = 40) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
    with file.open("wb") as output:
        output.write(images.tobytes())
        write_end(output, np.ones(count, bool), [checksums(torch.tensor(image)[None]) for image in images])
    return images


def opened(file: Path, count: int = 40) -> StoredImages:
    stored = open_images(file, count, SIZE)
    assert stored is not None
    return stored


def test_a_checksum_is_the_weighted_sum_of_words() -> None:
    image = torch.arange(2 * 8 * 8, dtype=torch.uint8).view(1, 2, 8, 8)  # 16 words, each a part of its own
    words = [int.from_bytes(bytes(range(start, start + 8)), "little") for start in range(0, 128, 8)]
    expected = sum((2 * part + 1) * 0x9E3779B97F4A7C15 * word for part, word in enumerate(words)) % 2**64
    assert [number % 2**64 for number in checksums(image).tolist()] == [expected]


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_any_other_byte_gives_another_checksum(height: int, width: int, data: st.DataObject) -> None:
    image = torch.from_numpy(np.random.default_rng(height).integers(0, 256, (1, height, width, 3), dtype=np.uint8))
    changed = image.clone()
    changed.view(-1)[data.draw(st.integers(0, image.numel() - 1))] ^= data.draw(st.integers(1, 255))
    assert checksums(changed) != checksums(image)


def test_images_that_change_places_are_noticed() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 256, 128, 3), dtype=np.uint8))
    assert checksums(images.flip(0)).tolist() == checksums(images).tolist()[::-1]
    assert (checksums(images.roll(64, 1)) != checksums(images)).all()


def test_all_of_a_small_file_is_checked_when_it_is_opened(tmp_path: Path) -> None:
    images = write(tmp_path / "f")
    stored = opened(tmp_path / "f")
    assert stored.is_sound() and torch.equal(stored.take(torch.tensor([3, 3, 0])), torch.from_numpy(images[[3, 3, 0]]))
    content = bytearray((tmp_path / "f").read_bytes())
    content[17 * images[0].size] ^= 1
    (tmp_path / "f").write_bytes(content)
    assert not opened(tmp_path / "f").is_sound()


def test_of_a_large_file_images_are_checked_at_their_first_use(tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_file, "_SMALL", 0)  # one image of sixteen is compared at once,
    monkeypatch.setattr(store_file.time, "time_ns", lambda: 3)  # from the fourth on
    images = write(tmp_path / "f")
    content = bytearray((tmp_path / "f").read_bytes())
    content[17 * images[0].size] ^= 1
    (tmp_path / "f").write_bytes(content)
    stored = opened(tmp_path / "f")
    assert stored.is_sound()
    sound = torch.tensor([row for row in range(40) if row != 17])
    assert torch.equal(stored.take(sound), torch.from_numpy(images[sound.numpy()]))
    with pytest.raises(DataError, match=rf"image store {tmp_path / 'f'} was damaged while .* Repeat the command"):
        stored.take(torch.tensor([16, 17, 18]))
    assert not (tmp_path / "f").exists(), "the next command would open it again"


def test_images_are_compared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "f")
    stored, counts = opened(tmp_path / "f"), []
    monkeypatch.setattr(store_file, "checksums", lambda images: (counts.append(len(images)), checksums(images))[1])
    for rows in ([0, 1, 2], [2, 1], [1, 5]):
        stored.take(torch.tensor(rows))
    assert counts == [3, 1]


def test_a_file_truncated_while_it_is_used_is_an_error_and_no_dead_process(tmp_path: Path) -> None:
    images = write(tmp_path / "f", count=200)
    stored = opened(tmp_path / "f", count=200)
    assert images.nbytes > 2 * mmap.PAGESIZE
    os.truncate(tmp_path / "f", 100)
    with pytest.raises(DataError, match="was truncated while it was in use"):
        stored.take(torch.tensor([199]))


def test_a_removed_file_can_still_be_read(tmp_path: Path) -> None:
    images = write(tmp_path / "f")
    stored = opened(tmp_path / "f")
    (tmp_path / "f").unlink()
    assert torch.equal(stored.take(torch.arange(40)), torch.from_numpy(images))


def test_samples_without_an_image_are_told(tmp_path: Path) -> None:
    images = np.zeros((2, *SIZE, 3), np.uint8)
    with (tmp_path / "f").open("wb") as output:
        output.write(images.tobytes())
        write_end(output, np.array([True, False, True]), [checksums(torch.tensor(image)[None]) for image in images])
    assert opened(tmp_path / "f", count=3).readable.tolist() == [True, False, True]
    assert open_images(tmp_path / "f", 2, SIZE) is None and open_images(tmp_path / "f", 3, (6, 9)) is None


def test_pictures_of_a_truncated_store_are_an_error_too(tmp_path: Path) -> None:
    images = write(tmp_path / "f", count=200)
    store = ImageStore(opened(tmp_path / "f", 200).images, (), stored=opened(tmp_path / "f", 200))
    assert torch.equal(store[199], torch.from_numpy(images[199]))
    os.truncate(tmp_path / "f", 100)
    with pytest.raises(DataError, match="was truncated while it was in use"):
        store[199]
