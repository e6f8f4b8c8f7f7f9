"""The alpha history: readable sizes for every shape of decision, and pixels that follow the numbers."""

import numpy as np
import pytest
from PIL import Image

from nas_reid.drawing.alphas import draw_alphas
from nas_reid.drawing.decisions import DrawnDecision


def history(epochs: int, rows: int, choices: int, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(1, rows, choices)) * np.linspace(0, 3, epochs)[:, None, None]
    weights = np.exp(logits)
    return weights / weights.sum(axis=2, keepdims=True)


def drawn(rows: int, choices: int, **more) -> DrawnDecision:
    names = tuple(f"input0 → node{row}" for row in range(rows))
    return DrawnDecision(tuple(f"op{k}" for k in range(choices)), names, **more)


@pytest.mark.parametrize("shapes", [
    {"normal": (6, 14, 7), "reduction": (6, 14, 7)},
    {"norm": (1, 6, 4)},
    {"channels": (5, 3840, 2)},
    {"wide": (5, 60, 3)},
    {f"layer{i}": (3, 30, 2) for i in range(30)},
], ids=["two cells", "one epoch", "mask", "many rows", "many decisions"])
def test_the_picture_stays_readable(tmp_path, shapes):
    values = {name: history(*shape) for name, shape in shapes.items()}
    decisions = {name: drawn(*shape[1:]) for name, shape in shapes.items()}
    draw_alphas(values, tmp_path / "alphas.png", decisions=decisions)
    with Image.open(tmp_path / "alphas.png") as image:
        assert image.format == "PNG"
        assert 300 < image.width < 2500 and 400 < image.height < 2500
        assert len(image.convert("RGB").getcolors(1 << 24)) > 50


def test_another_history_is_another_picture(tmp_path):
    for seed in range(2):
        draw_alphas({"a": history(4, 6, 3, seed)}, tmp_path / f"{seed}.png", decisions={"a": drawn(6, 3)})
    assert (tmp_path / "0.png").read_bytes() != (tmp_path / "1.png").read_bytes()


@pytest.mark.parametrize(("values", "message"), [
    ({}, "holds no decision"),
    ({"a": np.zeros((4, 6, 2))}, r"'a' has shape \[4, 6, 2\]; expected \[epochs, rows, 3\]"),
    ({"a": np.zeros((0, 6, 3))}, "at least one epoch"),
])
def test_a_history_that_does_not_fit(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        draw_alphas(values, tmp_path / "alphas.png", decisions={"a": drawn(6, 3)})
    assert not (tmp_path / "alphas.png").exists()


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    return (np.abs(picture - colour).max(axis=2) <= 2).mean()


def test_what_no_genotype_takes_is_grey_and_what_it_took_is_framed(tmp_path):
    """Colours go from the smallest to the largest probability that can be taken, however close they are."""
    values = {"a": np.array([[[0.9, 0.04, 0.06], [0.9, 0.06, 0.04]]])}
    frame, grey, dark = (214, 96, 77), (233, 235, 238), (8, 48, 107)
    draw_alphas(values, tmp_path / "all.png", decisions={"a": drawn(2, 3)})
    draw_alphas(values, tmp_path / "marked.png",
                decisions={"a": drawn(2, 3, excluded=frozenset({0}), chosen=(2, -1))})
    plain, marked = pixels(tmp_path / "all.png"), pixels(tmp_path / "marked.png")
    assert share(plain, grey) < 0.001 < 0.01 < share(marked, grey)
    assert share(marked, frame) > 2 * share(plain, frame)  # which has a line of that colour
    table = slice(int(0.6 * len(marked)), None)
    assert share(plain[table, len(plain[0]) // 2:], dark) < 0.001 < share(marked[table, len(marked[0]) // 2:], dark)
