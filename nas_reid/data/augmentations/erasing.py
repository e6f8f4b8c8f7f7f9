"""Random erasing."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Generator, Tensor

from nas_reid.data.augmentations.per_image import byte_mask, check_probability, replace_, uniform
from nas_reid.data.normalise import IMAGENET_MEAN
from nas_reid.errors import ConfigError


class RandomErasing:
    """Cover one rectangle of each image, with probability ``p`` (Zhong et al. 2017, arXiv:1708.04896).

    The paper draws area and aspect ratio again until the rectangle fits. Here the area is drawn once, and the ratio
    uniformly among those with which that area fits: no loop, and large areas stay as frequent as small ones. Of
    images of 256 x 128 pixels a rectangle covers 0.21 on average, where the paper's, torchreid's and the bag of tricks'
    cover 0.204. FastReID's, up to a third and uniform in the ratio's logarithm, cover 0.163 (0.155 at 384 x 128), ours
    0.175.

    Args:
        p: probability.
        area: range of the rectangle's share of the image, within (0, 1].
        aspect: smallest height / width; the largest is its inverse.
        fill: "mean", the nearest byte to ImageNet's mean (0 to within 0.01 after normalisation), or "noise",
            uniform bytes.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(self, p: float = 0.5, area: Sequence[float] = (0.02, 0.4), *, aspect: float = 0.3,
                 fill: str = "mean") -> None:
        if len(area) != 2 or not 0 < area[0] <= area[1] <= 1:
            raise ConfigError(f"erase.area={area} must be two shares of the image, 0 < smallest <= largest <= 1")
        if not 0 < aspect <= 1:
            raise ConfigError(f"erase.aspect={aspect} must lie in (0, 1]: the ratio runs from it to its inverse")
        if fill not in ("mean", "noise"):
            raise ConfigError(f"erase.fill={fill!r} is unknown; choose 'mean' or 'noise'")
        self.p, self.area, self.aspect, self.fill = check_probability("erase.p", p), tuple(area), aspect, fill

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Erase in images [B, H, W, 3]."""
        return self.apply(images.clone(), *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Masks of rows and columns, see ``rectangle_masks``, and with "noise" the bytes [B, H, 3 W]."""
        masks = rectangle_masks(images, *self.rectangles(images, generator))
        if self.fill == "mean":
            return masks
        batch, height, width, channels = images.shape
        return *masks, torch.randint(256, (batch, height, width * channels), dtype=torch.uint8, device=images.device,
                                     generator=generator)

    def apply(self, images: Tensor, rows: Tensor, columns: Tensor, noise: Tensor | None = None) -> Tensor:
        """Cover the rectangles, in the images' memory."""
        fill_rectangles_(images, mean_row(images.device, images.shape[2]) if noise is None else noise, rows, columns)
        return images

    def rectangles(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draw top, left, height and width, int64 [B] each; the height is 0 where nothing is to be erased."""
        height, width = images.shape[1:3]
        chosen, area, ratio, top, left = uniform(images, generator, 5)
        area = (self.area[0] + (self.area[1] - self.area[0]) * area) * (height * width)          # pixels
        lowest = (area / width**2).clamp_(min=self.aspect)                     # below, it would be too wide
        highest = (height**2 / area).clamp_(max=1 / self.aspect)               # above, it would be too tall
        ratio = lowest + (highest - lowest) * ratio
        tall = (area * ratio).sqrt().round().clamp_(1, height)
        wide = (area / ratio).sqrt().round().clamp_(1, width)
        top, left = top * (height - tall + 1), left * (width - wide + 1)
        return top.long(), left.long(), (tall * (chosen < self.p)).long(), wide.long()


def rectangle_masks(images: Tensor, top: Tensor, left: Tensor, tall: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
    """Masks [B, H, 1] and [B, 1, 3 W] of the rows and columns of one rectangle in each of the images [B, H, W, 3].

    Args:
        images: give the shape.
        top, left, tall, wide: int64 [B]; what lies outside the image is ignored.
    """
    height, width, channels = images.shape[1:]
    top, left, tall, wide = (edge[:, None] for edge in (top, left, tall, wide))
    y = torch.arange(height, device=images.device)
    x = torch.arange(width * channels, device=images.device) // channels
    rows, columns = (y >= top) & (y < top + tall), (x >= left) & (x < left + wide)
    return byte_mask(rows)[:, :, None], byte_mask(columns)[:, None, :]


def fill_rectangles_(images: Tensor, fill: Tensor, rows: Tensor, columns: Tensor) -> None:
    """Cover one rectangle of each of the images.

    Args:
        images: uint8 [B, H, W, 3], contiguous; changed.
        fill: uint8 [3 W], one row of pixels for all, or [B, H, 3 W].
        rows, columns: of ``rectangle_masks``.
    """
    lines = images.flatten(2)
    if images.device.type != "cpu":
        lines.bitwise_xor_((lines ^ fill).bitwise_and_(rows & columns))
        return
    lines, touched = lines.flatten(0, 1), rows.flatten().nonzero().squeeze(1)  # most rows of pixels are not
    fill = fill if fill.ndim == 1 else fill.flatten(0, 1).index_select(0, touched)
    columns = columns.squeeze(1).index_select(0, touched // images.shape[1])
    old = lines.index_select(0, touched)
    replace_(lines, touched, (old ^ fill).bitwise_and_(columns).bitwise_xor_(old))


@cache
def mean_row(device: torch.device, width: int) -> Tensor:
    """A row of pixels in the nearest bytes to ImageNet's mean, uint8 [3 width]."""
    return torch.tensor([round(255 * mean) for mean in IMAGENET_MEAN], dtype=torch.uint8).repeat(width).to(device)
