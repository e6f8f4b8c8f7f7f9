"""Bytes of chosen images on a device."""

import torch
from torch import Tensor

from nas_reid.data.store import ImageStore

_LARGEST_RESIDENT_SHARE = 0.25


class ImageSource:
    """Images by position, from a copy on the device when they fit there, else from the memory-mapped store.

    Args:
        store: holds the images.
        indices: int64 [n], the rows of ``store`` that positions 0..n-1 mean.
        device: where images are wanted.
        resident: copy the n images to the device now. None: if it is a GPU and they take less than a quarter of
            its free memory.
    """

    def __init__(self, store: ImageStore, indices: Tensor, *, device: torch.device, resident: bool | None) -> None:
        if resident is None:
            size = len(indices) * store.images[0].numel()
            resident = device.type == "cuda" and size < _LARGEST_RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
        self.device = device
        self._resident = store.take(indices).to(device) if resident else None
        self._store, self._indices = store, indices

    def gather(self, on_host: Tensor, on_device: Tensor) -> Tensor:
        """Images [B, H, W, 3], uint8, at positions [B], given twice so that neither host nor device must wait."""
        if self._resident is not None:
            return self._resident.index_select(0, on_device)
        rows = self._indices[on_host]
        if self.device.type != "cuda":
            return self._store.take(rows).to(self.device)
        pinned = torch.empty(len(rows), *self._store.images.shape[1:], dtype=torch.uint8, pin_memory=True)
        return self._store.take(rows, pinned).to(self.device, non_blocking=True)
