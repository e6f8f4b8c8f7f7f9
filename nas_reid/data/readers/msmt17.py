"""MSMT17 (Wei et al., Person Transfer GAN to Bridge Domain Gap for Person Re-Identification, CVPR 2018)."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from nas_reid.data.readers.id_list import read_rows
from nas_reid.data.readers.listing import find, locate, require_images
from nas_reid.data.readers.official import compared
from nas_reid.data.readers.options import check_option
from nas_reid.data.sample import Dataset, Sample

VERSIONS = {"v2": ("MSMT17_V2", "mask_train_v2", "mask_test_v2"), "v1": ("MSMT17_V1", "train", "test")}
"""Version -> its folder and the two folders of images; faces are blurred in v2, the lists are the same."""
OFFICIAL = {"train": (30_248, 1_041), "query": (11_659, 3_060), "gallery": (82_161, 3_060)}
_WITH_VAL = 32_621


def read_msmt17(root: Path, *, version: str | None = None, with_val: bool = False,
                combineall: bool = False) -> Dataset:
    """Read MSMT17 by its list files, which number the people of training and test from 0 each.

    Here training people keep their number plus one, and the people of the test follow after them.

    Args:
        root: the folder with the lists and images, or a parent that holds it as ``MSMT17_V2``, ``msmt17/MSMT17_V2``
            (or ``_V1``).
        version: ``v1``, ``v2``, or None for the one that is there, v2 of both.
        with_val: train on ``list_val.txt`` too (the same people), as some publications do.
        combineall: implies ``with_val``; the lists are combined by ``read_dataset``.

    Raises:
        ConfigError: an option out of range.
        DataError: folders or lists missing, a list of another format, or images that are not where a list says.
    """
    check_option("version", version, (None, *VERSIONS))
    check_option("with_val", with_val, (False, True))
    with_val = with_val or combineall
    names = ("train", *(("val",) if with_val else ()), "query", "gallery")
    base, version = _find_version(root, version, [f"list_{name}.txt" for name in names])
    _, train_folder, test_folder = VERSIONS[version]
    lists = {name: _read_list(base, f"list_{name}.txt", test_folder if name in ("query", "gallery") else train_folder)
             for name in names}
    training = [*lists["train"], *lists.get("val", [])]
    first = 1 + max((sample.pid for sample in training), default=0)
    query, gallery = ([replace(sample, pid=first + sample.pid - 1) for sample in lists[name]]
                      for name in ("query", "gallery"))
    dataset = Dataset("msmt17", base, tuple(sorted(training)), tuple(sorted(query)), tuple(sorted(gallery)))
    official = OFFICIAL | ({"train": (_WITH_VAL, 1_041)} if with_val else {})
    return compared(dataset, official, title=f"MSMT17 {version}")


def _find_version(root: Path, version: str | None, lists: list[str]) -> tuple[Path, str]:
    """The folder of the wanted version, or of the first that is there, and its name."""
    for name in (version,) if version else VERSIONS:
        folder, *images = VERSIONS[name]
        if base := find(root, [*images, *lists], inside=f"msmt17/{folder}"):
            return base, name
    folder, *images = VERSIONS[version or "v2"]
    return locate("msmt17", root, [*images, *lists], inside=f"msmt17/{folder}"), version or "v2"


def _read_list(base: Path, name: str, folder: str) -> list[Sample]:
    """The samples of a list; people are counted from 1."""
    def sample(path: str, pid: str) -> Sample:
        """Of a line of a list."""
        camera = PurePosixPath(path).name.split("_")[2]
        return Sample(f"{folder}/{path}", int(pid) + 1, int(camera) - 1)

    samples = read_rows(base / name, sample,
                        expected="a path and a pid, such as '0000/0000_000_01_0303morning_0015_0.jpg 0'")
    require_images(base, samples, listed_in=name)
    return samples
