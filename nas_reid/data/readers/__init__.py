"""Readers: each turns a folder into a ``Dataset``. A new one is a file here and a line in ``READERS``.

The keyword-only arguments of a reader are its options; ``combineall`` is one that all have.
"""

import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from nas_reid.data.places import OWN_PLACE
from nas_reid.data.readers.combineall import combine_all
from nas_reid.data.readers.cuhk01 import read_cuhk01
from nas_reid.data.readers.cuhk02 import read_cuhk02
from nas_reid.data.readers.cuhk03 import read_cuhk03
from nas_reid.data.readers.cuhksysu import read_cuhksysu
from nas_reid.data.readers.folder import read_folder
from nas_reid.data.readers.grid import read_grid
from nas_reid.data.readers.ilids import read_ilids
from nas_reid.data.readers.llcm import read_llcm
from nas_reid.data.readers.market1501 import read_market1501
from nas_reid.data.readers.msmt17 import read_msmt17
from nas_reid.data.readers.options import check_option, option_names
from nas_reid.data.readers.partial import read_occluded_reid, read_partial_ilids, read_partial_reid
from nas_reid.data.readers.prid import read_prid
from nas_reid.data.readers.regdb import read_regdb
from nas_reid.data.readers.sensereid import read_sensereid
from nas_reid.data.readers.sysu_mm01 import read_sysu_mm01
from nas_reid.data.readers.table import read_table_of_images
from nas_reid.data.readers.vehicleid import read_vehicleid
from nas_reid.data.readers.veri import read_veri
from nas_reid.data.readers.veri_wild import read_veri_wild
from nas_reid.data.readers.viper import read_viper
from nas_reid.data.sample import Dataset
from nas_reid.errors import ConfigError, DataError
from nas_reid.files.foreign import user_path

READERS: dict[str, Callable[..., Dataset]] = {
    "cuhk01": read_cuhk01,
    "cuhk02": read_cuhk02,
    "cuhk03": read_cuhk03,
    "cuhksysu": read_cuhksysu,
    "folder": read_folder,
    "grid": read_grid,
    "ilids": read_ilids,
    "llcm": read_llcm,
    "market1501": read_market1501,
    "msmt17": read_msmt17,
    "occluded_reid": read_occluded_reid,
    "partial_ilids": read_partial_ilids,
    "partial_reid": read_partial_reid,
    "prid": read_prid,
    "regdb": read_regdb,
    "sensereid": read_sensereid,
    "sysu_mm01": read_sysu_mm01,
    "table": read_table_of_images,
    "vehicleid": read_vehicleid,
    "veri": read_veri,
    "veri_wild": read_veri_wild,
    "viper": read_viper,
}
_WITHDRAWN = frozenset({"duke", "dukemtmc", "dukemtmcreid"})

LARGEST_NUMBER = 2**31 - 1
"""Of an identity or a camera, so that several data sets can be numbered after one another in int64."""

log = logging.getLogger(__name__)


def find_reader(name: str, options: Collection[str] = ()) -> Callable[..., Dataset]:
    """The reader of this name.

    Args:
        name: a key of ``READERS``.
        options: names of the options that it must have.

    Raises:
        ConfigError: unknown or withdrawn name, or an option that the reader does not have.
    """
    if name.lower().replace("-", "").replace("_", "") in _WITHDRAWN:
        raise ConfigError(
            f"{name!r} is not offered: DukeMTMC was withdrawn by its authors in 2019, because its collection broke "
            "the terms of their ethics board. Use MSMT17 v2 (blurred faces) for real images, or data=synthetic")
    if name not in READERS:
        raise ConfigError(f"unknown reader {name!r}; choose one of {sorted(READERS)} (data.reader)")
    known = sorted({*option_names(READERS[name]), "combineall"})
    if unknown := sorted(set(options) - set(known)):
        raise ConfigError(f"reader {name!r} has no option {', '.join(unknown)}; data.options may hold: "
                          f"{', '.join(known)}")
    return READERS[name]


def read_dataset(name: str, root: str | Path, /, **options: Any) -> Dataset:
    """Read a data set and log what its reader noticed.

    Args:
        name: a key of ``READERS``.
        root: the data set's folder; ``~`` is expanded.
        options: of the reader; ``combineall`` (true or false) makes training images of all, see ``combine_all``.

    Raises:
        ConfigError: see ``find_reader``; a value that an option does not take.
        DataError: the folder is missing, empty or of another layout; an identity or camera beyond ``LARGEST_NUMBER``.
    """
    reader = find_reader(name, options)
    combineall = options.get("combineall", False)
    check_option("combineall", combineall, (False, True))
    own = option_names(reader)
    dataset = reader(user_path(root), **{key: value for key, value in options.items() if key in own})
    _check_numbers(dataset)
    for warning in dataset.warnings:
        log.warning("%s: %s", dataset.name, warning)
    return combine_all(dataset) if combineall else dataset


def _check_numbers(dataset: Dataset) -> None:
    for sample in (*dataset.train, *dataset.query, *dataset.gallery):
        for what, number in (("identity", sample.pid), ("camera", sample.camid)):
            place = number - OWN_PLACE if what == "camera" and number >= OWN_PLACE else number
            if not 0 <= place <= LARGEST_NUMBER:
                raise DataError(f"{dataset.root / sample.path}: {what} {number} is no number from 0 to "
                                f"{LARGEST_NUMBER:,}. Rename the file, or correct the list that names it")
