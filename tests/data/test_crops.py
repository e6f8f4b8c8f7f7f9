"""Random and centre crops: their distribution, their bounds, and decoding only what they need."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_reid.data.crops import centre_crop, draw_crops, random_crop
from nas_reid.data.decoding import decode, decode_box

IMAGENET = {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3), "aspect": 1.0}


def boxes(count: int, width: int, height: int, **options) -> np.ndarray:
    numbers = draw_crops(count, torch.Generator().manual_seed(0)).tolist()
    return np.array([random_crop(width, height, row, **{**IMAGENET, **options}) for row in numbers])


def test_random_crops_lie_in_the_image_and_have_the_asked_areas_and_shapes() -> None:
    left, top, right, bottom = boxes(4000, 640, 480).T
    assert left.min() >= 0 and top.min() >= 0 and right.max() <= 640 and bottom.max() <= 480
    share, shape = (right - left) * (bottom - top) / (640 * 480), (right - left) / (bottom - top)
    assert 0.08 <= share.min() < 0.09 and 0.95 < share.max() <= 1
    assert 0.75 <= shape.min() < 0.76 and 1.31 < shape.max() < 1.334
    small = share < 0.4  # all of these fit, so that area and shape are drawn independently
    assert np.median(share[small]) == pytest.approx(0.24, abs=0.01)
    assert np.median(np.log(shape[small])) == pytest.approx(0.0, abs=0.02)
    assert abs(np.corrcoef(share[small], np.log(shape[small]))[0, 1]) < 0.06
    room = 640 - (right - left)
    assert np.median((left / room)[small]) == pytest.approx(0.5, abs=0.04)


def test_a_crop_is_computed_from_its_numbers() -> None:
    """Area 0.08 + 0.92 / 4 of 100 x 100, square, a quarter of the room from the left, half of it from the top."""
    side = math.sqrt(0.31) * 100
    box = random_crop(100, 100, [[0.25, 0.5, 0.25, 0.5]], **IMAGENET)
    assert box == pytest.approx(((100 - side) / 4, (100 - side) / 2, (100 + 3 * side) / 4, (100 + side) / 2))


@pytest.mark.parametrize(("size", "expected"), [((400, 100), (400 / 3, 100)), ((100, 400), (100, 400 / 3)),
                                                ((100, 100), (100, 100))])
def test_when_nothing_fits_the_centre_is_taken(size: tuple[int, int], expected: tuple[float, float]) -> None:
    widest = [[1.0, 0.0 if size[0] > size[1] else 1.0, 0.5, 0.5]]  # the whole area, in a shape that does not fit
    left, top, right, bottom = random_crop(*size, widest, **IMAGENET)
    assert (right - left, bottom - top) == pytest.approx(expected)
    assert (left, top) == pytest.approx(((size[0] - expected[0]) / 2, (size[1] - expected[1]) / 2))


def test_shapes_are_relative_to_that_of_the_result() -> None:
    left, top, right, bottom = boxes(500, 200, 400, aspect=0.5).T
    shape = (right - left) / (bottom - top)
    assert 0.75 <= (shape / 0.5).min() and (shape / 0.5).max() <= 4 / 3


@pytest.mark.parametrize(("size", "box"), [
    ((500, 375), (85.9375, 23.4375, 414.0625, 351.5625)),  # 328.125 = 375 * 224 / 256
    ((300, 600), (18.75, 168.75, 281.25, 431.25))])
def test_the_centre_crop_is_imagenets(size: tuple[int, int], box: tuple[float, ...]) -> None:
    assert centre_crop(*size, centre=0.875, aspect=1.0) == pytest.approx(box)


def gradient(path: Path, width: int, height: int) -> Path:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8)).save(path, quality=95)
    return path


def test_a_box_of_the_whole_image_is_the_whole_image(tmp_path: Path) -> None:
    path = gradient(tmp_path / "image.png", 60, 50)
    whole = decode_box(path, lambda width, height: (0, 0, width, height), (16, 24))
    assert np.array_equal(whole, decode(path, (16, 24)))
    beyond = decode_box(path, lambda width, height: (-1e-9, 0, width + 1e-9, height), (16, 24))  # by rounding
    assert np.array_equal(beyond, whole)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_part_shows_that_part_also_when_a_jpeg_is_decoded_small(suffix: str, tmp_path: Path) -> None:
    path = gradient(tmp_path / f"image.{suffix}", 801, 600)
    seen = []

    def box(width: int, height: int) -> tuple[float, float, float, float]:
        seen.append((width, height))
        return width / 4, height / 2, width * 3 / 4, height

    part = decode_box(path, box, (30, 40)).astype(float)
    assert seen == [(801, 600)], "the box is asked for in the pixels of the file"
    expected_x = np.linspace(255 / 4, 255 * 3 / 4, 81)[1::2]
    expected_y = np.linspace(255 / 2, 255, 61)[1::2]
    assert np.abs(part[:, :, 0] - expected_x).max() < 4 and np.abs(part[:, :, 1] - expected_y[:, None]).max() < 4


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sizes, resize = gradient(tmp_path / "image.jpg", 1600, 1200), [], Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, *args, **options: (sizes.append(self.size),
                                                                              resize(self, *args, **options))[1])
    decode_box(path, lambda width, height: (0, 0, width, height), (100, 150))
    decode_box(path, lambda width, height: (0, 0, 180, 140), (100, 150))
    assert sizes == [(200, 150), (1600, 1200)]
