"""SenseReID, for testing only (Zhao et al., Spindle Net, CVPR 2017)."""

import re
from pathlib import Path

from nas_reid.data.readers.listing import locate, named_images
from nas_reid.data.readers.official import compared
from nas_reid.data.sample import Dataset, Sample

OFFICIAL = {"query": (1_040, 522), "gallery": (3_388, 1_717)}
_NAME = re.compile(r"(\d+)_(\d+)")  # {pid}_{camera}, both from 0


def read_sensereid(root: Path) -> Dataset:
    """Read SenseReID's query and gallery; people are numbered one higher than in the file names, for 0 is a distractor.

    Args:
        root: the folder with ``test_probe`` and ``test_gallery``, or a parent that holds it as ``SenseReID`` or
            ``sensereid/SenseReID``.

    Raises:
        DataError: folders missing or empty.
    """
    base = locate("sensereid", root, ("test_probe", "test_gallery"), inside="sensereid/SenseReID")
    query, gallery = (tuple(Sample(path, int(match[1]) + 1, int(match[2]))
                            for path, match in named_images(base, folder, _NAME, example="00001_00.jpg"))
                      for folder in ("test_probe", "test_gallery"))
    return compared(Dataset("sensereid", base, (), query, gallery, first_camera=0), OFFICIAL, title="SenseReID")
