"""What is taken out of ``cuhk-03.mat`` once: the images, as files, and the people of the 20 classic test sets."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nas_reid.data.readers.mat_file import open_hdf5
from nas_reid.errors import DataError
from nas_reid.files import unfinished, write_atomically
from nas_reid.files.foreign import read_text
from nas_reid.files.leftovers import sweep
from nas_reid.files.making import sole_maker
from nas_reid.progress import progress

ARCHIVE = "cuhk03_release/cuhk-03.mat"
TEST_SETS = "classic_test_sets.json"
_IMAGES_PER_VIEW = 5
_IMAGES = 14_097  # of either kind, or one less

log = logging.getLogger(__name__)


def extract_images(base: Path, boxes: str, folder: str) -> None:
    """Write the images below ``base/folder``, which appears under its name only when complete.

    They are named ``{camera pair}_{person}_{view}_{image}.png``, all counted from 1, as by everybody.

    Args:
        base: the folder with ``cuhk03_release``.
        boxes: ``detected`` or ``labeled``.
        folder: name of the folder of images.

    Raises:
        DataError: the archive is missing, damaged or another file, h5py is not installed, or the disk refuses.
    """
    if not (base / ARCHIVE).exists():
        raise DataError(f"{base} has neither {folder} nor {ARCHIVE}, from which it is made; see the data set's page")
    target = base / folder
    sweep(base)
    try:
        with sole_maker(target, what=f"the images of {base / ARCHIVE}", total=_IMAGES, unit="image",
                        done=lambda unfinished: sum(1 for _ in unfinished.iterdir())):
            if not target.is_dir():  # else the process that this one waited for has written them
                _extract(base, boxes, target)
    except OSError as error:
        if not target.is_dir():  # else another process was faster, as it can be without locks
            raise DataError(f"cannot write {target}: {error.strerror or error}; CUHK03's images are written beside "
                            "its archive once, so the folder must be writable then") from None


def _extract(base: Path, boxes: str, target: Path) -> None:
    temporary = unfinished(target)
    with open_hdf5(base / ARCHIVE) as archive:
        log.info("writing the images of %s to %s, once", base / ARCHIVE, target)
        try:
            temporary.mkdir()
            _write_images(archive, boxes, temporary)
            temporary.rename(target)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise _not_the_archive(base, error) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def read_test_sets(base: Path) -> list[list[list[int]]]:
    """The [camera pair, person] of the people in each classic test set; kept beside the images as JSON.

    Raises:
        DataError: as ``extract_images``, or the JSON file is damaged.
    """
    path = base / TEST_SETS
    try:
        if path.exists():
            return json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}); delete it, so that it is written again") from None
    with open_hdf5(base / ARCHIVE) as archive:
        try:
            test_sets = [_content(archive, reference).astype(int).tolist() for reference in archive["testsets"][0]]
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise _not_the_archive(base, error) from None
    try:
        write_atomically(path, json.dumps(test_sets).encode())
    except OSError as error:
        log.warning("cannot keep the test sets in %s (%s); they are read again next time", path, error.strerror)
    return test_sets


def _write_images(archive: Any, boxes: str, folder: Path) -> None:
    for pair, reference in enumerate(archive[boxes][0], start=1):
        people = _content(archive, reference)
        for person, cells in enumerate(progress(people, description=f"{boxes} {pair}/5", total=len(people),
                                                unit="person"), start=1):
            for number, cell in enumerate(cells, start=1):
                pixels = _content(archive, cell)
                if pixels.ndim == 3:  # an empty cell is a vector of zeros
                    view = 1 if number <= _IMAGES_PER_VIEW else 2
                    image = Image.fromarray(np.ascontiguousarray(pixels))
                    image.save(folder / f"{pair}_{person:03d}_{view}_{number:02d}.png")


def _content(archive: Any, reference: Any) -> np.ndarray:
    """What a cell holds; HDF5 keeps MATLAB's arrays with reversed axes."""
    return archive[reference][:].T


def _not_the_archive(base: Path, error: Exception) -> DataError:
    return DataError(f"{base / ARCHIVE} is not CUHK03's file of images ({type(error).__name__}: {error}); "
                     "fetch it again")
