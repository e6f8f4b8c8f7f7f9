"""The font of the pictures that Pillow draws: one that has the letters of people's names, or says that it has not."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

_NO_CHARACTER = "\U0010ffff"


@lru_cache
def lettering(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans, which comes with matplotlib: Latin, Greek, Cyrillic and Arabic letters; Pillow's own without it.

    Args:
        size: in pixels.
    """
    package = find_spec("matplotlib")  # not imported: that takes longer than many a picture
    if package and package.origin:
        file = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(file, size)
    return ImageFont.load_default(size)


def is_legible(text: str) -> bool:
    """Whether ``lettering`` has every character, where it would draw boxes otherwise (Chinese, say)."""
    letters = lettering(12)
    box = bytes(letters.getmask(_NO_CHARACTER))
    return all(character.isspace() or bytes(letters.getmask(character)) != box for character in set(text))


def shortened(text: str, most: int) -> str:
    """A text of ``most`` characters at most, its end replaced by an ellipsis where it is longer."""
    return text if len(text) <= most else f"{text[:most - 1]}…"
