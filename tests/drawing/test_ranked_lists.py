"""Ranked lists: which queries are shown, and the colour of each border."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas_reid.drawing.ranked_lists import (
    BORDER,
    DISTRACTOR,
    GAP,
    HEAD,
    HEIGHT,
    JUNK,
    LINE,
    QUERY,
    RIGHT,
    WRONG,
    choose_queries,
    draw_ranked_lists,
)

LABELS = {row: (f"pid {row}", "cam 1") for row in range(5)}
AP = np.array([0.9, np.nan, 0.1, 0.5, 0.3, 1.0])


def test_worst_queries_first_then_random_ones_never_twice():
    chosen = choose_queries(AP, worst=2, random=2, seed=0)
    assert chosen[:2] == [2, 4]
    assert len(set(chosen)) == 4 and set(chosen[2:]) <= {0, 3, 5}
    assert chosen == choose_queries(torch.tensor(AP), worst=2, random=2, seed=0)


def test_fewer_queries_than_asked_for_and_skipped_ones_left_out():
    assert sorted(choose_queries(AP, worst=3, random=99, seed=0)) == [0, 2, 3, 4, 5]


def draw(tmp_path, queries=(1, 0), as_tensor=True, **more):
    convert = torch.from_numpy if as_tensor else np.asarray
    images = np.random.default_rng(0).integers(0, 20, size=(5, 32, 16, 3), dtype=np.uint8)  # dark: borders stand out
    arguments = {
        "ranked": convert(np.array([[0, 1, 2], [3, 4, 0]])), "distances": convert(np.linspace(0, 1, 6).reshape(2, 3)),
        "query_images": convert(images[:2]), "gallery_images": convert(images),
        "query_pids": convert(np.array([7, 8])), "query_camids": convert(np.array([0, 0])),
        "gallery_pids": convert(np.array([8, 7, 8, 9, 7])), "gallery_camids": convert(np.array([1, 1, 0, 1, 1])),
        "query_labels": LABELS, "gallery_labels": LABELS,
    }
    draw_ranked_lists(tmp_path / "ranked.png", queries=list(queries), **{**arguments, **more})
    with Image.open(tmp_path / "ranked.png") as image:
        return np.asarray(image.convert("RGB")).astype(int)


def frames(sheet: np.ndarray, row: int) -> list[tuple[int, int, int]]:
    """Border colours of one strip, from left to right: runs along its top edge."""
    strip = (sheet.shape[0] - HEAD - GAP) // 2
    line = [tuple(pixel) for pixel in sheet[HEAD + GAP + row * strip + 1]]
    runs = [pixel for k, pixel in enumerate(line) if k == 0 or pixel != line[k - 1]]
    return [pixel for pixel in runs if pixel != (255, 255, 255)]


@pytest.mark.parametrize("as_tensor", [True, False])
def test_borders_tell_right_wrong_and_junk(tmp_path, as_tensor):
    sheet = draw(tmp_path, as_tensor=as_tensor)
    assert frames(sheet, 0) == [QUERY, RIGHT, WRONG, JUNK]  # query 1 is pid 8 in camera 0
    assert frames(sheet, 1) == [QUERY, WRONG, RIGHT, WRONG]
    assert sheet.shape[0] > 2 * (HEIGHT + 2 * BORDER)
    legend = {tuple(pixel) for pixel in sheet[:HEAD].reshape(-1, 3)}
    assert legend >= {QUERY, RIGHT, WRONG, JUNK, DISTRACTOR}


def test_a_distractor_is_told_from_another_person(tmp_path):
    sheet = draw(tmp_path, gallery_pids=np.array([0, 7, 8, 9, 7]))
    assert frames(sheet, 0) == [QUERY, DISTRACTOR, WRONG, JUNK]
    assert frames(sheet, 1) == [QUERY, WRONG, RIGHT, DISTRACTOR]


def test_captions_follow_the_distances(tmp_path):
    first = draw(tmp_path)
    second = draw(tmp_path, distances=np.full((2, 3), 0.777), ap=[0.25, 0.75])
    assert first.shape == second.shape and (first != second).any()


def test_long_names_have_lines_of_their_own(tmp_path):
    short = draw(tmp_path)
    long = draw(tmp_path, gallery_labels={row: ("Annabel Lee", "Parking lot") for row in range(5)})
    assert long.shape[0] == short.shape[0] + 2 * LINE and frames(long, 0) == frames(short, 0)


def test_no_query(tmp_path):
    with pytest.raises(ValueError, match="no query"):
        draw(tmp_path, queries=())
