"""Equal bits from equal inputs, on a GPU too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from nas_reid.errors import ConfigError

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"  # read by cuBLAS when it starts; without it sums depend on what ran before


@contextmanager
def deterministic(wanted: bool = True) -> Iterator[None]:
    """A block in which operations take the form that gives equal bits every time, of those that have one.

    On a CPU they do in any case. On a GPU sums of gradients are else added in the order in which threads come.

    Args:
        wanted: False: nothing changes.

    Raises:
        ConfigError: an operation has no such form; the message names it.
    """
    if not wanted:
        yield
        return
    os.environ.setdefault(_WORKSPACE, ":4096:8")
    memory: Any = torch.utils.deterministic  # torch does not declare its switch
    before, fill = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # nothing here reads what it has not written
    try:
        yield
    except RuntimeError as error:
        operation, found, _ = str(error).partition(" does not have a deterministic implementation")
        if found:
            raise ConfigError(f"deterministic=true: {operation} has no deterministic form in torch "
                              f"{torch.__version__}; use deterministic=false, or options that do without it") from error
        if _WORKSPACE in str(error):
            raise ConfigError(f"deterministic=true: {_WORKSPACE}={os.environ[_WORKSPACE]} leaves products of matrices "
                              "to chance; set it to :4096:8 or unset it before the command starts") from error
        raise
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = fill
