"""Any data set as ``{train,query,gallery}/{pid}_c{cam}_*.{jpg,jpeg,png,bmp}``."""

from pathlib import Path

from nas_reid.data.layout import FOLDER
from nas_reid.data.readers.split_folders import read_split_folders
from nas_reid.data.sample import Dataset


def read_folder(root: Path) -> Dataset:
    """Read the folders ``train``, ``query`` and ``gallery`` below ``root``; see ``read_split_folders``."""
    return read_split_folders(root, FOLDER)
