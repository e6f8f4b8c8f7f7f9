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

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor]:
        """``row_starts`` of random windows of the padded images."""
        top, left = torch.randint(2 * self.padding + 1, (2, len(images)), device=images.device, generator=generator)
        padded = [side + 2 * self.padding for side in images.shape[1:3]]
        return (row_starts(top, left, padded, images.shape[1]),)

    def apply(self, images: Tensor, starts: Tensor) -> Tensor:
        """Pad and cut."""
        return cut(F.pad(images, (0, 0, *4 * [self.padding])), starts, width=images.shape[2])


def row_starts(top: Tensor, left: Tensor, size: Sequence[int], height: int) -> Tensor:
    """Where the rows of a window of each image begin, in pixels from the image's first one, int64 [B, height].

    Args:
        top, left: int64 [B], the windows' corners; each window must lie inside its image.
        size: (H, W) of the images.
        height: of the windows.
    """
    rows = torch.arange(0, height * size[1], size[1], device=top.device)
    return (top * size[1] + left)[:, None] + rows


def cut(images: Tensor, starts: Tensor, *, width: int, source: Tensor | None = None) -> Tensor:
    """Cut windows of one size out of images, each at its own place.

    A row of a window is a run of bytes and only its start differs, so one gather of rows does it all.

    Args:
        images: uint8 [B, H, W, 3], contiguous.
        starts: of ``row_starts``, int64 [b, height].
        width: of the windows.
        source: int64 [b], out of which image each window is cut; None: one out of each.

    Returns:
        uint8 [b, height, width, 3].
    """
    count, full_height, full_width, channels = images.shape
    source = torch.arange(count, device=images.device) if source is None else source
    starts = starts + (source * (full_height * full_width))[:, None]
    runs = images.as_strided((images.numel() // channels - width + 1, width * channels), (channels, 1))  # overlapping
    return runs.index_select(0, starts.flatten()).view(*starts.shape, width, channels)
