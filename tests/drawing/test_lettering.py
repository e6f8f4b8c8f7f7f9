"""The font of drawn pictures."""

from nas_reid.drawing.lettering import is_legible, lettering, shortened


def test_letters_of_names_are_there_and_chinese_is_not() -> None:
    assert all(map(is_legible, ("Zo\u00eb", "Wei\u00df", "S\u00f8ren", "\u0416", "two words", "")))
    assert not is_legible("\u5f20") and not is_legible("Li \u5f20")


def test_an_accent_is_drawn() -> None:
    plain, accented = (bytes(lettering(12).getmask(letter)) for letter in ("a", "\u00e1"))
    assert plain != accented


def test_shortened_texts_have_at_most_so_many_characters() -> None:
    assert shortened("abcd", 4) == "abcd" and shortened("abcde", 4) == "abc\u2026"
