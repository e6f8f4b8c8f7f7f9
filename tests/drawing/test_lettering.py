"""The fonts of drawn pictures."""

from pathlib import Path

import matplotlib
import pytest

from nas_reid.drawing.lettering import is_legible, legible, lettering, shortened


@pytest.fixture
def no_further_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_reid.drawing.lettering._FURTHER", ())


def test_letters_of_names_are_there_and_without_a_font_for_them_chinese_is_not(no_further_fonts: None) -> None:
    assert all(map(is_legible, ("Zo\u00eb", "Wei\u00df", "S\u00f8ren", "\u0416", "two words", "")))
    assert not is_legible("\u5f20") and not is_legible("Li \u5f20")


def test_what_no_font_has_becomes_one_ellipsis(no_further_fonts: None) -> None:
    assert legible("\u7167\u7247_01.jpg") == "\u2026_01.jpg" and legible("Zo\u00eb") == "Zo\u00eb"


def test_a_letter_that_the_usual_font_lacks_is_taken_from_another_of_the_machine(
        monkeypatch: pytest.MonkeyPatch) -> None:
    circled = "\u24b6"  # in STIX, not in DejaVu Sans
    monkeypatch.setattr("nas_reid.drawing.lettering._FURTHER", ("not-there.ttf",))
    assert not is_legible(circled)
    stix = Path(matplotlib.get_data_path(), "fonts", "ttf", "STIXGeneralBol.ttf")
    monkeypatch.setattr("nas_reid.drawing.lettering._FURTHER", ("not-there.ttf", str(stix)))
    assert is_legible(f"{circled} b") and legible(circled) == circled
    assert lettering(12, circled).getname()[0].startswith("STIX") and lettering(12, "a").getname()[0] == "DejaVu Sans"


def test_an_accent_is_drawn() -> None:
    plain, accented = (bytes(lettering(12).getmask(letter)) for letter in ("a", "\u00e1"))
    assert plain != accented


def test_shortened_texts_have_at_most_so_many_characters() -> None:
    assert shortened("abcd", 4) == "abcd" and shortened("abcde", 4) == "abc\u2026"
