"""The alpha history: readable sizes for every shape of decision, and pixels that follow the numbers."""

import numpy as np
import pytest
from PIL import Image

from nas_reid.drawing.alphas import draw_alphas


def history(epochs: int, rows: int, choices: int, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(1, rows, choices)) * np.linspace(0, 3, epochs)[:, None, None]
    weights = np.exp(logits)
    return weights / weights.sum(axis=2, keepdims=True)


@pytest.mark.parametrize("shapes", [
    {"normal": (6, 14, 7), "reduction": (6, 14, 7)},
    {"norm": (1, 6, 4)},
    {"channels": (5, 3840, 2)},
    {"wide": (5, 60, 3)},
    {f"layer{i}": (3, 30, 2) for i in range(30)},
], ids=["two cells", "one epoch", "mask", "many rows", "many decisions"])
def test_the_picture_stays_readable(tmp_path, shapes):
    values = {name: history(*shape) for name, shape in shapes.items()}
    choices = {name: [f"op{k}" for k in range(shape[2])] for name, shape in shapes.items()}
    draw_alphas(values, tmp_path / "alphas.png", choices=choices)
    with Image.open(tmp_path / "alphas.png") as image:
        assert image.format == "PNG"
        assert 300 < image.width < 2500 and 400 < image.height < 2500
        assert len(image.convert("RGB").getcolors(1 << 24)) > 50


def test_another_history_is_another_picture(tmp_path):
    for seed in range(2):
        draw_alphas({"a": history(4, 6, 3, seed)}, tmp_path / f"{seed}.png", choices={"a": "xyz"})
    assert (tmp_path / "0.png").read_bytes() != (tmp_path / "1.png").read_bytes()


@pytest.mark.parametrize(("values", "message"), [
    ({}, "holds no decision"),
    ({"a": np.zeros((4, 6, 2))}, r"'a' has shape \[4, 6, 2\]; expected \[epochs, rows, 3\]"),
    ({"a": np.zeros((0, 6, 3))}, "at least one epoch"),
])
def test_a_history_that_does_not_fit(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        draw_alphas(values, tmp_path / "alphas.png", choices={"a": "xyz"})
    assert not (tmp_path / "alphas.png").exists()
