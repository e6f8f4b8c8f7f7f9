"""Which files are images: the still formats that are read, and how the names of their files end."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePath

from PIL import Image

STILL_FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "GIF": (".gif",),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "PPM": (".pbm", ".pgm", ".ppm", ".pnm", ".pfm"),
    "BLP": (".blp",),
    "CUR": (".cur",),
    "DCX": (".dcx",),
    "DDS": (".dds",),
    "DIB": (".dib",),
    "FITS": (".fit", ".fits"),
    "FTEX": (".ftc", ".ftu"),
    "GBR": (".gbr",),
    "ICNS": (".icns",),
    "ICO": (".ico",),
    "IM": (".im",),
    "MSP": (".msp",),
    "PCD": (".pcd",),
    "PCX": (".pcx",),
    "PIXAR": (".pxr",),
    "PSD": (".psd",),
    "QOI": (".qoi",),
    "SGI": (".bw", ".rgb", ".rgba", ".sgi"),
    "SUN": (".ras",),
    "XBM": (".xbm",),
    "XPM": (".xpm",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),  # last: its files begin with no mark of their own
}
"""Pillow's name of every format that it decodes by itself -> suffixes. Films (FLI, MPEG) are no stills; EPS is a
program that another program runs; WMF, BUFR, GRIB and HDF5 are read by others, if at all; IPTC holds any format."""

IMAGE_SUFFIXES = frozenset(suffix for suffixes in STILL_FORMATS.values() for suffix in suffixes)
_OF_THE_SYSTEM = ("thumbs.db", "desktop.ini")  # what desktops leave in folders, beside names that begin with a dot


@cache
def still_formats() -> tuple[str, ...]:
    """Those of ``STILL_FORMATS`` that this Pillow knows, for ``Image.open(file, formats=...)``."""
    Image.init()
    return tuple(name for name in STILL_FORMATS if name in Image.OPEN)


def is_image(name: str | PurePath) -> bool:
    """Whether a file of this name is meant to be an image: by its suffix, and not hidden.

    Names that begin with a dot are hidden; among them ``._0001.jpg``, which macOS writes beside ``0001.jpg``.
    """
    path = PurePath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def left_out(folder: Path, names: Sequence[str]) -> str:
    """What among the entries of a folder is no image, by suffix with counts, in words; empty if there is nothing.

    Hidden files and those that desktops leave are not worth a word.

    Args:
        folder: holds them.
        names: of the entries, relative to ``folder``.
    """
    others = [name for name in names if not is_image(name) and not PurePath(name).name.startswith(".")
              and PurePath(name).name.lower() not in _OF_THE_SYSTEM]
    if not others:
        return ""
    kinds = Counter("folder" if (folder / name).is_dir() else PurePath(name).suffix.lower() or "without suffix"
                    for name in others)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    return f"left out {len(others):,} entries that are no images ({counted}), such as {others[0]}"
