"""What a search found, drawn: names of files that no font has."""

from pathlib import Path

import numpy as np
import pytest

from nas_reid.drawing.found import draw_found


def test_characters_that_no_font_has_are_left_out_not_drawn_as_boxes(tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_reid.drawing.lettering._FURTHER", ())
    picture = np.full((40, 20, 3), 90, np.uint8)
    for name, file in (("chinese", "a/\u7167\u7247_01.jpg"), ("ellipsis", "a/\u2026_01.jpg")):
        draw_found(tmp_path / f"{name}.png", [(picture, file)], [[(picture, file, 0.5)]])
    assert (tmp_path / "chinese.png").read_bytes() == (tmp_path / "ellipsis.png").read_bytes()


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    picture = np.full((40, 20, 3), 90, np.uint8)
    for folder in ("anna", "ben"):
        draw_found(tmp_path / f"{folder}.png", [(picture, "q.jpg")], [[(picture, f"2024/{folder}/1.jpg", 0.5)]])
    assert (tmp_path / "anna.png").read_bytes() != (tmp_path / "ben.png").read_bytes()
