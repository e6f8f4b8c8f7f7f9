"""Overlaid parts: where there is a label, and a colour of its own for each."""

import numpy as np
from PIL import Image

from nas_reid.data.synthetic.canvas import Part
from nas_reid.drawing.part_overlay import part_overlay


def test_labelled_pixels_are_coloured_and_others_grey() -> None:
    parts = np.zeros((4, 3), np.uint8)
    parts[1, 1], parts[2, 2] = Part.UPPER, Part.LOWER
    pixels = np.asarray(part_overlay(Image.new("RGB", (6, 8), (200, 100, 50)), parts)).astype(int)
    assert pixels.shape == (8, 6, 3)
    spread = np.ptp(pixels, axis=2)
    coloured = np.kron(parts > 0, np.ones((2, 2), bool))
    assert (spread[coloured] > 60).all() and (spread[~coloured] == 0).all()
    assert not np.array_equal(pixels[2, 2], pixels[4, 4])


def test_every_part_has_a_colour_of_its_own() -> None:
    labels = np.array([[int(part) for part in Part]], np.uint8)
    pixels = np.asarray(part_overlay(Image.new("RGB", (len(Part), 1), "white"), labels))[0].astype(int)
    gaps = [np.abs(pixels[i] - pixels[j]).max() for i in range(1, len(Part)) for j in range(i)]
    assert min(gaps) > 20
