"""Choices by name: every row is drawn, in the colour of what it took."""

import numpy as np
import pytest
from PIL import Image

from nas_reid.drawing.decisions import DrawnDecision, draw_choices

BLUE, RED = (31, 119, 180), (214, 96, 77)


def drawn(path, taken: list[int]) -> np.ndarray:
    rows = tuple(f"layer1.{number}.bn1" for number in range(len(taken)))
    draw_choices({"norms": DrawnDecision(("split", "share"), rows, chosen=tuple(taken))}, path, title="norms")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    return (np.abs(picture - colour).max(axis=2) <= 2).mean()


def test_colours_follow_the_choices(tmp_path):
    both, one = drawn(tmp_path / "both.png", [0, 1, 0]), drawn(tmp_path / "one.png", [0, 0, -1])
    assert share(both, BLUE) > 0.005 and share(both, RED) > 0.005 and share(one, RED) == 0
    assert drawn(tmp_path / "many.png", [0] * 45).shape[1] > 2 * both.shape[1]  # three columns


def test_nothing_is_chosen(tmp_path):
    with pytest.raises(ValueError, match="no choice to draw"):
        draw_choices({"a": DrawnDecision(("x",), ("r",))}, tmp_path / "a.png", title="")
