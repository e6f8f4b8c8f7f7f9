"""Enlarge and crop."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from nas_reid.data.augmentations.crop import cut, row_starts
from nas_reid.data.augmentations.per_image import blend_, byte_mask, check_probability, uniform
from nas_reid.errors import ConfigError


class ZoomCrop:
    """With probability ``p``, enlarge the image bilinearly and cut the original size out at a random place.

    The random crop of torchreid and of OSNet (Zhou et al., TPAMI 2021), where the scale is 1.125. As in torchreid the
    place is a uniform number that is rounded, so that the outermost places are half as likely as the others.

    Args:
        p: probability.
        scale: factor of height and width, >= 1.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(self, p: float = 0.5, scale: float = 1.125) -> None:
        if not 1 <= scale <= 4:
            raise ConfigError(f"zoom.scale={scale} must lie in [1, 4]")
        self.p, self.scale = check_probability("zoom.p", p), scale

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Zoom into images [B, H, W, 3]."""
        return self.apply(images, *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """A mask of the chosen images, uint8 [B, 1, 1, 1], and ``row_starts`` of windows of the enlarged ones."""
        height, width = images.shape[1:3]
        size = self._enlarged(height, width)
        chosen, top, left = uniform(images, generator, 3)
        top, left = (top * (size[0] - height)).round().long(), (left * (size[1] - width)).round().long()
        return byte_mask(chosen < self.p)[:, None, None, None], row_starts(top, left, size, height)

    def apply(self, images: Tensor, mask: Tensor, starts: Tensor) -> Tensor:
        """Enlarge and cut the chosen ones."""
        height, width = images.shape[1:3]
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        enlarged = F.interpolate(pixels, self._enlarged(height, width), mode="bilinear").round_().to(torch.uint8)
        cropped = cut(enlarged.permute(0, 2, 3, 1).contiguous(), starts, width=width)
        return blend_(cropped, images, mask)

    def _enlarged(self, height: int, width: int) -> tuple[int, int]:
        return round(self.scale * height), round(self.scale * width)
