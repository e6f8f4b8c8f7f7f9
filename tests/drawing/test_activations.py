"""Activation maps: their definition, and what each panel shows."""

import numpy as np
import torch
from PIL import Image

from nas_reid.drawing.activations import HEAD, activation_maps, draw_activations
from nas_reid.drawing.image_grid import CAPTION, GAP


def test_maps_are_sums_of_absolute_values_of_unit_norm():
    maps = torch.randn(3, 5, 4, 2, generator=torch.Generator().manual_seed(0))
    maps[2] = 0
    result = activation_maps(maps)
    for n in range(2):
        summed = [[sum(abs(float(maps[n, c, y, x])) for c in range(5)) for x in range(2)] for y in range(4)]
        expected = np.array(summed) / np.sqrt((np.array(summed) ** 2).sum())
        np.testing.assert_allclose(result[n].numpy(), expected, rtol=1e-5)
    assert torch.equal(result[2], torch.zeros(4, 2))
    assert torch.equal(activation_maps(-maps), result)


def test_panels_are_image_map_and_overlay(tmp_path):
    images = np.full((5, 30, 15, 3), 100, np.uint8)
    maps = np.zeros((5, 4, 2), np.float32)
    maps[:, 0, 0] = 0.01  # however small, the largest value gets the hottest colour
    draw_activations(tmp_path / "a.png", images=images, maps=maps, labels=[f"pid {n}" for n in range(5)])
    with Image.open(tmp_path / "a.png") as picture:
        sheet = np.asarray(picture.convert("RGB")).astype(int)
    assert sheet.shape == (HEAD + GAP + 2 * (150 + CAPTION + GAP), GAP + 4 * (225 + GAP), 3)  # four panels, then one
    scale, sheet = sheet[:HEAD], sheet[HEAD:]
    assert (scale[:, :, 0] > scale[:, :, 2] + 100).any() and (scale[:, :, 2] > scale[:, :, 0] + 100).any()
    assert (sheet[GAP + 150:GAP + 150 + CAPTION, :225] < 100).any()  # who it is
    panel = sheet[GAP:GAP + 150, GAP:GAP + 225]
    image, heat, overlay = panel[:, :60], panel[:, 80:145], panel[:, 155:]
    assert (image == 100).all()
    hot, cold = heat[5, 0], heat[140, 60]
    assert hot[0] > hot[2] and cold[2] > cold[0]  # red and dark blue
    assert abs(overlay[140, 60] - (100 + cold) / 2).max() <= 4
    assert (sheet[-40, -20] == 255).all()


def test_a_constant_map_is_drawn(tmp_path):
    draw_activations(tmp_path / "a.png", images=np.zeros((1, 8, 4, 3), np.uint8), maps=np.ones((1, 2, 1), np.float32))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.height == HEAD + 150 + CAPTION + 2 * GAP and picture.width > 225 + 2 * GAP
