"""Distances of pairs: a picture with and without a threshold, of any counts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.drawing.distances import Accepted, _shown, draw_distances

ACCEPTED = Accepted(3.0, (2.0, 4.5), (0.9, 0.01), (0.002, 0.03), (0.8, 0.05))


def test_a_threshold_changes_the_picture(tmp_path: Path) -> None:
    edges, counts = np.linspace(0, 10, 513), np.bincount(np.arange(512) // 2, minlength=512)
    for name, accepted in {"with": ACCEPTED, "without": None}.items():
        draw_distances(tmp_path / f"{name}.png", edges=edges, genuine=counts, impostor=counts[::-1],
                       distance="euclidean", accepted=accepted)
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width > 600
    assert (tmp_path / "with.png").read_bytes() != (tmp_path / "without.png").read_bytes()


@pytest.mark.parametrize("accepted", [None, ACCEPTED])
@pytest.mark.parametrize("held", [slice(0, 0), slice(100, 101), slice(200, 512), slice(0, 512)])
def test_every_pair_is_shown_in_few_bars_that_hold_the_threshold(held: slice, accepted: Accepted | None) -> None:
    edges, genuine, impostor = np.linspace(0, 10, 513), np.zeros(512, int), np.zeros(512, int)
    genuine[held], impostor[held] = 2, 3
    shown = _shown(edges, genuine, impostor, accepted)
    assert len(shown[0]) == len(shown[1]) + 1 == len(shown[2]) + 1 <= 82
    assert shown[1].sum() == genuine.sum() and shown[2].sum() == impostor.sum() and (np.diff(shown[0]) > 0).all()
    if accepted is not None:
        assert shown[0][0] <= 2.0 and shown[0][-1] >= 4.5
