"""The table of camera pairs: its colours follow the values, and a pair without one is grey."""

import numpy as np
from PIL import Image

from nas_reid.drawing.cameras import draw_camera_pairs


def drawn(path, values) -> np.ndarray:
    draw_camera_pairs(values, path, queries={0: "0", 3: "3"}, gallery={1: "1", 2: "2", 3: "3"}, metric="mAP")
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    return (np.abs(picture - colour).max(axis=2) <= 2).mean()


def test_colours_follow_the_values(tmp_path):
    dark, bright, grey = (68, 1, 84), (253, 231, 37), (227, 230, 234)
    pairs = [(0, 1), (0, 2), (0, 3), (3, 1), (3, 2)]
    low, high = (drawn(tmp_path / f"{value}.png", dict.fromkeys(pairs, value)) for value in (0.0, 1.0))
    assert low.shape == high.shape and share(low, dark) > 0.15 and share(high, bright) > 0.15
    assert share(low, grey) > 0.03  # camera 3 with itself
    assert share(drawn(tmp_path / "all.png", dict.fromkeys([*pairs, (3, 3)], 0.0)), grey) < 0.01
