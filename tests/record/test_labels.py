"""Who stands under a picture: the names of the data set, or numbers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_reid.data.naming import Naming
from nas_reid.data.places import OWN_PLACE
from nas_reid.data.sample import Sample
from nas_reid.data.store import build_store
from nas_reid.record.pictures import _labels


def test_names_stand_under_pictures_and_numbers_where_there_are_none(tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_reid.drawing.lettering._FURTHER", ())
    samples = [Sample(f"{n}.png", pid, camid) for n, (pid, camid) in
               enumerate([(1, 0), (2, 1), (3, 1), (0, 0), (1, OWN_PLACE)])]
    for sample in samples:
        Image.fromarray(np.zeros((8, 4, 3), np.uint8)).save(tmp_path / sample.path)
    store = build_store(tmp_path, samples, image_size=(8, 4), cache_dir=tmp_path / "cache", workers=1,
                        on_corrupt="error")
    naming = Naming(people={1: "Zo\u00eb", 2: "\u738b\u4f1f"}, cameras={1: "Door at the Parking lot"})
    assert _labels(store, naming, range(5)) == {
        0: ("Zo\u00eb", "Door at the\u2026"), 1: ("pid 2", "cam 2"), 2: ("pid 3", "cam 2"),
        3: ("distractor", "Door at the\u2026"), 4: ("Zo\u00eb",)}
