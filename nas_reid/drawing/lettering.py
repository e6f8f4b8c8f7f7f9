"""The fonts of the pictures that Pillow draws: one that has the letters of people's names, or a word that none has."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

_NO_CHARACTER = "\U0010ffff"
_FURTHER = ("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "SourceHanSansSC-Regular.otf",
            "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "wqy-microhei.ttc", "wqy-zenhei.ttc",
            "msyh.ttc", "simsun.ttc", "malgun.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc", "Arial Unicode.ttf",
            "unifont.otf", "unifont.ttf")
"""Files of Linux, Windows and macOS that have Chinese characters, and most of them others; tried in turn where
DejaVu Sans lacks a letter. Pillow looks for them in the folders of the system's fonts."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def lettering(size: int, text: str = "") -> Font:
    """DejaVu Sans, which comes with matplotlib: Latin, Greek, Cyrillic and Arabic letters; Pillow's own without it.

    Args:
        size: in pixels.
        text: what is to be written; where DejaVu Sans lacks a letter of it, the first font of the machine that has all.
    """
    usual = _usual(size)
    return usual if _has(usual, text) else next((font for font in _further(size, _FURTHER) if _has(font, text)), usual)


def font_file(text: str) -> Path | None:
    """File of the font that ``lettering`` takes, for matplotlib; None for the usual one, which it has itself."""
    font = lettering(12, text)
    return Path(str(font.path)) if font is not _usual(12) and isinstance(font, ImageFont.FreeTypeFont) else None


def is_legible(text: str) -> bool:
    """Whether ``lettering`` finds a font with every character; it would draw boxes otherwise."""
    return _has(lettering(12, text), text)


def legible(text: str) -> str:
    """The text, with an ellipsis for characters that no font has."""
    if is_legible(text):
        return text
    kept = "".join(character if is_legible(character) else "…" for character in text)
    while "……" in kept:
        kept = kept.replace("……", "…")
    return kept if is_legible(kept) else "…"  # each is in some font, and no font has all


def written(name: str | None, number: str, most: int) -> str:
    """What a picture calls somebody or something: the name, its number where there is none or no font has it.

    Args:
        name: empty or None where there is none.
        number: taken instead.
        most: characters of the name.
    """
    return shortened(name, most) if name and is_legible(name) else number


def shortened(text: str, most: int) -> str:
    """A text of ``most`` characters at most, its end replaced by an ellipsis where it is longer."""
    return text if len(text) <= most else f"{text[:most - 1]}…"


@lru_cache
def _usual(size: int) -> Font:
    package = find_spec("matplotlib")  # not imported: that takes longer than many a picture
    if package and package.origin:
        file = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(file, size)
    return ImageFont.load_default(size)


@lru_cache
def _further(size: int, files: tuple[str, ...]) -> list[Font]:
    """Those of the files that the machine has."""
    fonts: list[Font] = []
    for file in files:
        try:
            fonts.append(ImageFont.truetype(file, size))
        except OSError:  # not on this machine
            continue
    return fonts


def _has(font: Font, text: str) -> bool:
    return all(character.isspace() or _drawn(font, character) != _drawn(font, _NO_CHARACTER)
               for character in set(text))


@lru_cache(4096)
def _drawn(font: Font, character: str) -> bytes:
    return bytes(font.getmask(character))
