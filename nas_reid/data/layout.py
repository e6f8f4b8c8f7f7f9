"""Folder and file names of the public layouts, for those who read them and for those who write them."""

from dataclasses import dataclass

SYNTHETIC_CARD = "synthetic.json"
"""Written last by the generator into a data set's root: the folder is complete, and no official set."""


@dataclass(frozen=True)
class SplitFolders:
    """Three flat folders of images whose names begin with ``{pid}_c{cam}``.

    Args:
        reader: name of the reader of this layout.
        train, query, gallery: folder names below the root.
        example: an image name, for messages.
        nested: folders below a given root that may hold the three instead.
    """

    reader: str
    train: str
    query: str
    gallery: str
    example: str
    nested: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, str, str]:
        """The names of the three folders: train, query, gallery."""
        return self.train, self.query, self.gallery


MARKET1501 = SplitFolders(
    "market1501", "bounding_box_train", "query", "bounding_box_test", "0002_c1s1_000451_03.jpg",
    nested=("Market-1501-v15.09.15", "market1501/Market-1501-v15.09.15", "market1501"),
)
VERI = SplitFolders("veri", "image_train", "image_query", "image_test", "0001_c001_00016450_0.jpg",
                    nested=("veri", "VeRi"))
FOLDER = SplitFolders("folder", "train", "query", "gallery", "0002_c1_anything.jpg")
LAYOUTS = (MARKET1501, VERI, FOLDER)
