"""Pad-and-crop, and the gather that cuts a window out of each image of a batch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from nas_reid.errors import ConfigError


class PadCrop:
    """Pad with ``padding`` black pixels on every side and cut the original size out at a random place."""

    def __init__(self, padding: int = 10) -> None:
        if padding < 0:
            raise ConfigError(f"crop.padding={padding} must be >= 0 pixels")
        self.padding = padding

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Crop images [B, H, W, 3]."""
        return self.apply(images, *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Corners in the padded images, top and left, int64 [B] each."""
        top, left = torch.randint(2 * self.padding + 1, (2, len(images)), device=images.device, generator=generator)
        return top, left

    def apply(self, images: Tensor, top: Tensor, left: Tensor) -> Tensor:
        """Pad and cut."""
        return cut(F.pad(images, (0, 0, *4 * [self.padding])), top, left, size=images.shape[1:3])


def cut(images: Tensor, top: Tensor, left: Tensor, *, size: Sequence[int]) -> Tensor:
    """Cut a window of one size out of each image, at its own place.

    A row of a window is a run of bytes and only its start differs, so one gather of rows does it all.

    Args:
        images: uint8 [B, H, W, 3], contiguous.
        top, left: int64 [B], the windows' corners; each window must lie inside its image.
        size: (height, width) of the windows.

    Returns:
        uint8 [B, height, width, 3].
    """
    batch, full_height, full_width, channels = images.shape
    height, width = size
    run = width * channels
    first_row = torch.arange(batch, device=images.device) * full_height + top
    rows = first_row[:, None] + torch.arange(height, device=images.device)       # [B, height]
    starts = (rows * full_width + left[:, None]) * channels
    runs = images.as_strided((images.numel() - run + 1, run), (1, 1))            # every run of bytes, overlapping
    return runs.index_select(0, starts.flatten()).view(batch, height, width, channels)
