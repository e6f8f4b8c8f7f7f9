"""Memory for batches that is used again once nobody refers to it any more.

A batch is more than malloc keeps, so each would be made in new pages, which Linux fills with zeros first: on a CPU that
takes as long as making the batch. Whoever holds a batch, or a view of it, holds its memory; there is nothing to give
back. docs/benchmarks.md, note 2 on the 1,536 training images, has what this and fewer passes gain together.
"""

import weakref
from collections import deque
from math import prod

import numpy as np
import torch
from torch import Tensor

_KEPT = 4  # blocks at rest: as many as are loaded ahead


class Recycler:
    """Hands out tensors on a CPU. Threads may share one."""

    def __init__(self) -> None:
        self._resting: deque[np.ndarray] = deque(maxlen=_KEPT)

    def floats(self, *shape: int) -> Tensor:
        """A contiguous float32 tensor, not initialised."""
        size = prod(shape)
        block = self._take(size)
        part = block[:]  # an object of its own: torch holds it, and it dies with the last tensor on it
        weakref.finalize(part, self._resting.append, block).atexit = False
        return torch.from_numpy(part).view(shape)

    def _take(self, size: int) -> np.ndarray:
        while self._resting:
            try:
                block = self._resting.pop()  # the last one used: it may still be in the cache
            except IndexError:  # another thread was faster
                break
            if block.size == size:
                return block
        return np.empty(size, np.float32)  # NumPy asks Linux for huge pages
