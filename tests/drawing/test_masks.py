from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.drawing.masks import FeatureMasks, draw_masks, mask_table, mean_images


def place(name: str = "layer1") -> FeatureMasks:
    channels = np.array([[1, 1, 0, 0], [0, 1, 1, 0]], bool)
    pixels = np.ones((2, 4, 2), bool)
    pixels[1, 2:] = False
    return FeatureMasks(name, channels, pixels)


def test_shares_and_iou_by_hand() -> None:
    summary = place().summary()
    assert summary["channels"] == {"visible": 0.5, "infrared": 0.5, "iou": pytest.approx(1 / 3)}
    assert summary["pixels"] == {"visible": 1.0, "infrared": 0.5, "iou": 0.5}


def test_the_table_has_one_row_for_each_place() -> None:
    lines = mask_table([place(), place("layer2")]).splitlines()
    assert [line.split()[0] for line in lines] == ["kept", "layer1", "layer2"]
    assert lines[1].split()[1:] == ["0.500", "0.500", "0.333", "1.000", "0.500", "0.500"]
    assert len({len(line) for line in lines}) == 1


def test_means_are_taken_by_modality() -> None:
    images = np.zeros((4, 2, 1, 3), np.uint8)
    images[1], images[3] = 100, 50
    means = mean_images(images, [0, 1, 0, 1])
    assert sorted(means) == [0, 1] and (means[0] == 0).all() and (means[1] == 75).all()
    assert (mean_images(images, [1, 1, 1, 1], most=2)[1] == 25).all()  # the first and the last


def test_what_is_dropped_is_dark_and_what_is_kept_is_the_mean_image(tmp_path: Path) -> None:
    means = {0: np.full((16, 8, 3), 250, np.uint8), 1: np.full((16, 8, 3), (250, 0, 0), np.uint8)}
    draw_masks([place()], tmp_path / "masks.png", means=means)
    with Image.open(tmp_path / "masks.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    kept_visible, kept_infrared, dropped_infrared = ((pixels == colour).all(1).sum() for colour in
                                                     ((250, 250, 250), (250, 0, 0), (72, 25, 80)))
    assert kept_visible > 500 and kept_infrared > 200
    assert dropped_infrared == pytest.approx(kept_infrared, rel=0.2)


def test_places_are_thinned_out_and_means_may_be_missing(tmp_path: Path) -> None:
    draw_masks([place(f"layer{i}") for i in range(13)], tmp_path / "masks.png", means={})
    with Image.open(tmp_path / "masks.png") as picture:
        assert picture.width < 2000
