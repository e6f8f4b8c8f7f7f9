"""Colour jitter."""

from functools import cache

import torch
from torch import Generator, Tensor

from nas_reid.data.augmentations.per_image import check_probability, uniform

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow and torchvision convert to grey


class ColourJitter:
    """Scale brightness, contrast and saturation of each image, each by its own factor from [1 - x, 1 + x].

    Brightness multiplies, contrast blends with the image's mean grey, saturation with each pixel's grey. Unclipped,
    the three commute and are one affine map of the colours; it is clipped once, where torchvision clips after each.

    Args:
        brightness, contrast, saturation: the x of each, in [0, 1].
    """

    def __init__(self, brightness: float = 0.0, contrast: float = 0.0, *, saturation: float = 0.0) -> None:
        self.ranges = (check_probability("jitter.brightness", brightness),
                       check_probability("jitter.contrast", contrast),
                       check_probability("jitter.saturation", saturation))

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Jitter images [B, H, W, 3]."""
        return self.apply(images, *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """The three factors, float32 [B] each."""
        return tuple(1 + x * (2 * uniform(images, generator) - 1) for x in self.ranges)

    def apply(self, images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
        """``adjust``."""
        return adjust(images, brightness, contrast, saturation)


def adjust(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Scale brightness, contrast and saturation by the given factors, float32 [B] each."""
    brightness, contrast, saturation = (factor[:, None, None] for factor in (brightness, contrast, saturation))
    luma, identity = _luma_and_identity(images.device)
    pixels = images.permute(0, 3, 1, 2).contiguous().flatten(2).to(torch.float32)                # [B, 3, H W]
    grey = (pixels.mean(2) @ luma)[:, None, None]
    colours = brightness * contrast * (saturation * identity + (1 - saturation) * luma)          # [B, 3, 3]
    offset = brightness * (1 - contrast) * grey + 0.5                                            # bytes round down
    adjusted = torch.baddbmm(offset, colours, pixels).clamp_(0, 255).to(torch.uint8)
    return adjusted.transpose(1, 2).contiguous().view(images.shape)


@cache
def _luma_and_identity(device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(_LUMA, device=device), torch.eye(3, device=device)
