"""Parts of people against whole people, for testing only: Partial-REID and Partial-iLIDS (Zheng et al., Partial Person
Re-identification, ICCV 2015), and Occluded-REID (Zhuo et al., Occluded Person Re-identification, ICME 2018)."""

import re
from pathlib import Path

from nas_reid.data.readers.listing import locate, named_images
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.options import check_option
from nas_reid.data.sample import Dataset, Sample

CAMERAS = ("distinct", "index")
_NAME = re.compile(r"(\d+)_(\d*)")  # person, image of that person


def read_partial_reid(root: Path, *, cameras: str = "distinct") -> Dataset:
    """Read Partial-REID; see ``_read``. ``root``: the folder with ``partial_body_images`` and ``whole_body_images``."""
    return _read(root, "partial_reid", ("partial_body_images", "whole_body_images"), "Partial_REID", cameras,
                 images=300, people=60, title="Partial-REID")


def read_occluded_reid(root: Path, *, cameras: str = "distinct") -> Dataset:
    """Read Occluded-REID; see ``_read``. ``root``: the folder with ``query`` and ``gallery``."""
    return _read(root, "occluded_reid", ("query", "gallery"), "OccludedREID", cameras, images=1_000, people=200,
                 title="Occluded-REID")


def read_partial_ilids(root: Path, *, cameras: str = "distinct") -> Dataset:
    """Read Partial-iLIDS; see ``_read``. ``root``: the folder with ``query`` and ``gallery``."""
    return _read(root, "partial_ilids", ("query", "gallery"), "PartialiLIDS", cameras, images=119, people=119,
                 title="Partial-iLIDS")


def _read(root: Path, name: str, folders: tuple[str, str], inside: str, cameras: str, *, images: int, people: int,
          title: str) -> Dataset:
    """Query and gallery; there are no training images. People are numbered one higher than in the file names.

    Args:
        root: of the data set, or its parent.
        name: of the reader.
        folders: of the queries and of the gallery.
        inside: usual name of the data set's folder.
        cameras: ``distinct``: queries from one camera, the gallery from another, so that all images of a person are to
            be found. ``index``: the number of the image stands for the camera, so that a gallery image of the query's
            number does not count, as in FastReID; the two differ in what they report.
        images, people: official counts of each folder.
        title: for messages.

    Raises:
        ConfigError: ``cameras`` is unknown.
        DataError: a folder is missing or empty, or holds images of other names.
    """
    check_option("cameras", cameras, CAMERAS)
    base = locate(name, root, folders, inside=inside)
    query, gallery = (tuple(Sample(path, int(match[1]) + 1, side if cameras == "distinct" else int(match[2] or 0))
                            for path, match in named_images(base, folder, _NAME, example="001_01.jpg"))
                      for side, folder in enumerate(folders))
    dataset = Dataset(name, base, (), query, gallery, first_camera=1 if cameras == "distinct" else 0)
    return compared(dataset, {"query": (images, people), "gallery": (images, people)}, title=title)
