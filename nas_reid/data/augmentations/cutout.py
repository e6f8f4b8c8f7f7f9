"""Cutout."""

import torch
from torch import Generator, Tensor

from nas_reid.data.augmentations.erasing import fill_rectangles_, mean_row, rectangle_masks
from nas_reid.data.augmentations.per_image import check_probability, uniform
from nas_reid.errors import ConfigError


class Cutout:
    """Cover a square around a random pixel of each image (DeVries and Taylor 2017, arXiv:1708.04552).

    The square has one size, and part of it may lie outside the image, which the paper found to matter. Its colour is
    ImageNet's mean, that is, 0 after normalisation. (FastReID's "cutout" is random erasing with that colour.)

    Args:
        p: probability; the paper's is 1.
        share: side of the square / width of the image, in (0, 1]; the paper's for CIFAR-10 is 0.5.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(self, p: float = 1.0, share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise ConfigError(f"cutout.share={share} must lie in (0, 1]: the square's side / the image's width")
        self.p, self.share = check_probability("cutout.p", p), share

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Cut out of images [B, H, W, 3]."""
        return self.apply(images.clone(), *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Masks of rows and columns, see ``rectangle_masks``."""
        return rectangle_masks(images, *self.squares(images, generator))

    def apply(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Cover the squares, in the images' memory."""
        fill_rectangles_(images, mean_row(images.device, images.shape[2]), rows, columns)
        return images

    def squares(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draw top, left, height and width, int64 [B] each; the height is 0 where nothing is to be covered."""
        height, width = images.shape[1:3]
        chosen, row, column = uniform(images, generator, 3)
        side = max(1, round(self.share * width))
        top, left = (row * height).long() - side // 2, (column * width).long() - side // 2
        return top, left, side * (chosen < self.p).long(), torch.full_like(left, side)
