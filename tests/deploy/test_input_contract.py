"""What a file's images are: three ways to say the same picture, and two ways to resize it."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from nas_reid.data.decoding import resized
from nas_reid.data.normalise import normalise
from nas_reid.deploy.formats import Deployed
from nas_reid.deploy.input_contract import OURS, TRACKERS, InputContract


class Same(nn.Module):
    """The network's own input."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


@pytest.mark.parametrize("contract", [OURS, *TRACKERS.values(), InputContract("inside", 1)])
def test_whatever_is_inside_the_network_sees_the_same(contract: InputContract) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(256, size=(2, 4, 3, 3), dtype=np.uint8))
    found = Deployed(Same(), contract=contract)(contract.prepare(images))
    torch.testing.assert_close(found, normalise(images).flatten(1), atol=1e-6, rtol=1e-5)
    assert InputContract.of(contract.describe((4, 3))) == contract


def test_files_of_older_versions_take_what_they_took() -> None:
    assert InputContract.of({"image_size": [32, 16]}) == OURS
    older = {"input": {"range": [0, 255], "resize": "bilinear"}, "normalisation": {"inside": True}}
    assert InputContract.of(older) == OURS


def plainly(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear between the four pixels whose centres surround a place, in exact fractions."""
    rows, columns, result = len(pixels), len(pixels[0]), np.empty((height, width, 3))
    for i in range(height):
        for j in range(width):
            y = min(max(Fraction(2 * i + 1, 2) * rows / height - Fraction(1, 2), 0), rows - 1)
            x = min(max(Fraction(2 * j + 1, 2) * columns / width - Fraction(1, 2), 0), columns - 1)
            top, left = math.floor(y), math.floor(x)
            bottom, right, v, u = min(top + 1, rows - 1), min(left + 1, columns - 1), y - top, x - left
            for c in range(3):
                corners = [int(pixels[a][b][c]) for a in (top, bottom) for b in (left, right)]
                value = sum(corner * weight for corner, weight in
                            zip(corners, ((1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u), strict=True))
                result[i, j, c] = float(value)
    return result


@pytest.mark.parametrize("shape", [(31, 17), (8, 4), (3, 2), (9, 40)])
def test_plain_interpolation_looks_at_four_pixels(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(256, size=(*shape, 3), dtype=np.uint8)
    floats, found = (TRACKERS[name].resize(Image.fromarray(pixels), (8, 4)) for name in ("ultralytics", "boxmot"))
    expected = plainly(pixels, 8, 4)
    np.testing.assert_allclose(floats, expected, atol=1e-4)
    assert found.dtype == np.uint8 and found.shape == (8, 4, 3)
    assert np.abs(found - expected).max() < 0.8  # OpenCV's integers lose bits on the way
    assert np.array_equal(OURS.resize(Image.fromarray(pixels), (8, 4)), resized(Image.fromarray(pixels), (8, 4)))


def test_opencvs_integers() -> None:
    """Two rows of one pixel to three: weights 2048 and 0, half each, 0 and 2048; 100.5 is rounded as OpenCV does."""
    pixels = np.array([[[100, 0, 3]], [[101, 255, 4]]], dtype=np.uint8)
    assert TRACKERS["boxmot"].resize(Image.fromarray(pixels), (3, 1))[:, 0].tolist() == [
        [100, 0, 3], [101, 128, 4], [101, 255, 4]]
