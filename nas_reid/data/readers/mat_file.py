"""MATLAB files: those that SciPy reads, and those of version 7.3, which are HDF5."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas_reid.errors import DataError
from nas_reid.files.regular import require_regular


def load_mat(path: Path, fields: Sequence[str]) -> dict[str, np.ndarray]:
    """The variables ``fields`` of a MATLAB file before version 7.3.

    Raises:
        DataError: SciPy is not installed, the file cannot be read or is of another kind, or lacks a variable.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(f"reading {path} needs SciPy: pip install scipy") from None
    try:
        require_regular(path)
        content = loadmat(path)
    except Exception as error:  # a damaged file can raise anything, from zlib.error to TypeError
        raise DataError(f"{path} is not the MATLAB file it should be ({type(error).__name__}: {error}); "
                        "fetch it again") from None
    if missing := [name for name in fields if name not in content]:
        raise DataError(f"{path} has no variable {', '.join(missing)}; it has "
                        f"{', '.join(name for name in content if not name.startswith('__')) or 'none'}. "
                        "It is another file than the reader expects")
    return {name: content[name] for name in fields}


def open_hdf5(path: Path) -> Any:
    """A MATLAB file of version 7.3 as an open ``h5py.File``, to be used in a ``with``.

    Raises:
        DataError: h5py is not installed, or the file is absent, damaged or of another kind.
    """
    try:
        import h5py
    except ImportError:
        raise DataError(f"reading {path}, a MATLAB file of version 7.3, needs h5py: pip install h5py") from None
    try:
        require_regular(path)
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path} is not a MATLAB file of version 7.3, or is damaged ({error}); "
                        "fetch it again") from None
