"""What is found in a data set before it is trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.data.inspection import Looked, counts, doubtful, duplicates, lists_of, look, sheet
from nas_reid.data.places import OWN_PLACE
from nas_reid.data.sample import Dataset, Sample
from nas_reid.data.trial import Trial
from nas_reid.errors import DataError


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """a and b are one file as two people, c is another of the same size, d is truncated, e a box that is too large."""
    random = np.random.default_rng(0)
    for name, size in (("a", (8, 4)), ("c", (8, 4)), ("d", (64, 64)), ("e", (6, 10))):
        Image.fromarray(random.integers(256, size=(*size, 3), dtype=np.uint8)).save(tmp_path / f"{name}.bmp")
    (tmp_path / "b.bmp").write_bytes((tmp_path / "a.bmp").read_bytes())
    (tmp_path / "d.bmp").write_bytes((tmp_path / "d.bmp").read_bytes()[:400])
    return Dataset("mine", tmp_path, (Sample("a.bmp", 1, 0), Sample("c.bmp", 1, 2)), (Sample("b.bmp", 2, 0),),
                   (Sample("d.bmp", 0, 1), Sample("e.bmp", 2, 1, box=(1, 1, 11, 4)),
                    Sample("e.bmp", 2, 1, box=(1, 1, 9, 4))))


def test_counts(dataset: Dataset) -> None:
    lists = {name: counts(samples, first_camera=1) for name, samples in lists_of(dataset).items()}
    assert lists["gallery"] == {"images": 3, "identities": 1, "distractors": 1, "cameras": {"2": 3}, "infrared": 0,
                                "images_per_identity": {"least": 2, "median": 2, "most": 2},
                                "identities_of_one_image": 0}
    assert lists["training"]["cameras"] == {"1": 1, "3": 1} and lists["query"]["identities_of_one_image"] == 1
    assert counts([Sample("a", 1, OWN_PLACE)], first_camera=1)["cameras"] is None
    assert counts([], first_camera=1)["images_per_identity"] is None


def test_trials_say_what_is_ranked() -> None:
    both = tuple(Sample(f"{n}", n, OWN_PLACE + n) for n in range(1, 5))
    lists = lists_of(Dataset("mine", Path("mine"), (), both, both, trials=(Trial("one", (0, 2), (1, 2, 3)),)))
    assert [len(samples) for samples in lists.values()] == [0, 2, 3]


def test_every_picture_is_opened(dataset: Dataset) -> None:
    looked = look(dataset, workers=2, decode=True)
    assert looked.sizes == {"a.bmp": (4, 8), "b.bmp": (4, 8), "c.bmp": (4, 8), "e.bmp#xywh=1,1,8,3": (8, 3)}
    assert set(looked.unreadable) == {"d.bmp", "e.bmp#xywh=1,1,10,3"}
    assert looked.unreadable["e.bmp#xywh=1,1,10,3"] == "the box leaves the picture of 10 x 6 pixels"
    heads = look(dataset, workers=1, decode=False)
    assert heads.sizes == {**looked.sizes, "d.bmp": (64, 64)} and isinstance(heads, Looked)


def test_the_same_file_twice(dataset: Dataset) -> None:
    groups = duplicates(dataset)
    assert [[sample.path for sample in group] for group in groups] == [["a.bmp", "b.bmp"]]
    assert doubtful(groups, dataset) == (1, 1)


def test_the_sheet_has_a_row_for_each_identity(dataset: Dataset) -> None:
    rows, columns = sheet(dataset, identities=5, columns=9)
    assert columns == ["camera 1", "camera 2", "camera 3"] and list(rows) == ["0001", "0002"]
    assert [picture and picture.size for picture in rows["0001"]] == [(4, 8), None, (4, 8)]
    assert [picture and picture.size for picture in rows["0002"]] == [(4, 8), None, None]  # the first box is too large
    nobody = Dataset("mine", dataset.root, (), (), ())
    with pytest.raises(DataError, match="no image of a known identity"):
        sheet(nobody, identities=5, columns=9)


def test_without_cameras_the_sheet_shows_the_first_images(dataset: Dataset) -> None:
    own = Dataset("mine", dataset.root, tuple(Sample(f"{name}.bmp", 1, OWN_PLACE + n) for n, name in enumerate("ac")),
                  (), (), names={1: "Anna"})
    rows, columns = sheet(own, identities=1, columns=3)
    assert columns == ["image 1", "image 2", "image 3"] and rows["Anna"][2] is None and rows["Anna"][1].size == (4, 8)


def test_names_that_cannot_be_drawn_or_are_too_long_are_numbers(dataset: Dataset) -> None:
    """Two names that begin alike must not become one row; the font has no Chinese."""
    long = "a name of more than twenty-eight letters"
    named = replace(dataset, camera_names={1: "door", 2: "a very long corridor", 3: "\u5f20"},
                    names={1: f"{long} 1", 2: f"{long} 2"})
    rows, columns = sheet(named, identities=9, columns=9)
    assert list(rows) == ["a name of more than twenty-\u2026", "0002"]
    assert columns == ["door", "a very lo\u2026", "camera 3"]
