"""Part masks of drawn data: the same that were written with the images, and their means."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.data.layout import SYNTHETIC_CARD
from nas_reid.data.synthetic import SyntheticSpec, generate
from nas_reid.data.synthetic.canvas import Part
from nas_reid.data.synthetic.masks import PERSON, drawn_spec, mean_part_masks, part_masks
from nas_reid.errors import DataError

SPEC = SyntheticSpec("tiny", layout="sysu_mm01", train_ids=3, val_ids=0, test_ids=1, images_per_camera=1, masks=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("drawn"), SPEC, workers=1)


def test_masks_are_those_that_were_written_with_the_images(drawn: Path) -> None:
    written = sorted((drawn / "masks").rglob("*.png"))
    paths = [path.relative_to(drawn / "masks").with_suffix(".jpg").as_posix() for path in written]
    masks = part_masks(drawn, paths)
    assert masks.shape == (len(written), 128, 64) and masks.dtype == np.uint8
    assert all(np.array_equal(mask, np.asarray(Image.open(path))) for mask, path in zip(masks, written, strict=True))
    assert drawn_spec(drawn) == SPEC


def test_means_are_shares_of_images_averaged_over_areas() -> None:
    masks = np.zeros((2, 4, 2), np.uint8)
    masks[0, :2] = Part.HEAD
    masks[0, 2:, 0] = masks[1, 3] = Part.SHOES
    masks[1, 0, 0] = Part.OCCLUDER
    means = mean_part_masks(masks, (2, 1))
    assert {name: mean[:, 0].tolist() for name, mean in means.items() if mean.any()} == {
        "background": [0.375, 0.5], "head": [0.5, 0.0], "shoes": [0.0, 0.5], "occluder": [0.125, 0.0],
        PERSON: [0.5, 0.5]}
    assert set(means) == {part.name.lower() for part in Part} | {PERSON}
    assert mean_part_masks(masks, (4, 2))["head"].tolist() == [[0.5, 0.5], [0.5, 0.5], [0.0, 0.0], [0.0, 0.0]]


def test_only_what_was_drawn_by_this_version_has_masks(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has no {SYNTHETIC_CARD}: part masks exist for drawn data only"):
        part_masks(tmp_path, [])
    (tmp_path / SYNTHETIC_CARD).write_text((drawn / SYNTHETIC_CARD).read_text())
    with pytest.raises(DataError, match=f"was renamed, or drawn by another version.*{SPEC.key}"):
        drawn_spec(tmp_path)
    with pytest.raises(DataError, match=re.escape("has no drawn image cam9/0001/0001.jpg; it has ")):
        part_masks(drawn, ["cam9/0001/0001.jpg"])
