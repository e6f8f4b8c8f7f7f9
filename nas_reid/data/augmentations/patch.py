"""Random patch."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from nas_reid.data.augmentations.per_image import check_probability, uniform
from nas_reid.errors import ConfigError

TRIES = 100
"""Rectangles that are drawn for an image before it is left as it is."""


class Patches(NamedTuple):
    """What is pasted where, per image; tensors [B].

    Attributes:
        top, left, height, width: int64, the rectangle that is covered; the height is 0 where nothing is.
        source: int64, the image of the batch that the patch is copied from.
        row, column: float32, the place in that image that meets the rectangle's centre.
        angle: float32, rotation of the patch in radians.
        mirror: float32, -1 for a mirrored patch, else 1.
    """

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    source: Tensor
    row: Tensor
    column: Tensor
    angle: Tensor
    mirror: Tensor


class RandomPatch:
    """With probability ``p``, cover a rectangle with a patch of another picture (Zhou et al., TPAMI 2021, Sec. 4.1).

    torchreid keeps a pool of patches from earlier images. Here the pool is the batch, as it comes in: every image is
    equally likely to give the patch, which is copied, perhaps mirrored and perhaps rotated. So nothing is kept from
    step to step, a batch stays a pure function of its generator, and the pool can neither grow nor run dry.
    Sizes follow torchreid's law: area and ratio are uniform, and both are drawn again until the rectangle is smaller
    than the image on both sides, which thins out the large ones (of 256 x 128 images a patch covers a fifth on average,
    and one in ten covers more than 0.4). What a rotation turns in comes from around the patch; torchreid's is black.

    Args:
        p: probability.
        smallest, largest: range of the rectangle's share of the image, within (0, 1].
        aspect: smallest height / width; the largest is its inverse.
        mirror, rotate: probability that the patch is mirrored, and rotated by up to ``degrees`` either way.
        degrees: see ``rotate``.

    Raises:
        ConfigError: a value out of range.
    """

    mixes_images = True  # the pool must be the whole batch

    def __init__(self, p: float = 0.5, *, smallest: float = 0.01, largest: float = 0.5, aspect: float = 0.1,
                 mirror: float = 0.5, rotate: float = 0.5, degrees: float = 10.0) -> None:
        if not 0 < smallest <= largest <= 1:
            raise ConfigError(f"patch.smallest={smallest}, patch.largest={largest}: expected shares of the image, "
                              "0 < smallest <= largest <= 1")
        if not 0 < aspect <= 1:
            raise ConfigError(f"patch.aspect={aspect} must lie in (0, 1]: the ratio runs from it to its inverse")
        if not 0 <= degrees <= 180:
            raise ConfigError(f"patch.degrees={degrees} must lie in [0, 180]")
        self.mirror, self.rotate = check_probability("patch.mirror", mirror), check_probability("patch.rotate", rotate)
        self.radians, self.p = math.radians(degrees), check_probability("patch.p", p)
        self.area, self.aspect = (smallest, largest), aspect

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Paste into images [B, H, W, 3]."""
        return self.apply(images, *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> Patches:
        """Draw rectangles, and windows of the same sizes in images drawn from the batch."""
        top, left, height, width = self._rectangles(images, generator)
        source, row, column, turned, angle, mirrored = (uniform(images, generator) for _ in range(6))
        row = (row * (images.shape[1] - height + 1)).floor() + (height - 1) / 2
        column = (column * (images.shape[2] - width + 1)).floor() + (width - 1) / 2
        return Patches(top, left, height, width, (source * len(images)).long(), row, column,
                       (2 * angle - 1) * self.radians * (turned < self.rotate), 1 - 2.0 * (mirrored < self.mirror))

    def apply(self, images: Tensor, *patches: Tensor) -> Tensor:
        """``paste`` into a whole batch."""
        return paste(images, Patches(*patches))

    def _rectangles(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Top, left, height and width, int64 [B] each; the height is 0 where nothing is to be pasted."""
        height, width = images.shape[1:3]
        chosen, top, left = uniform(images, generator, 3)
        area, ratio = uniform(images, generator, 2 * TRIES).view(2, TRIES, -1)
        area = (self.area[0] + (self.area[1] - self.area[0]) * area) * (height * width)          # pixels
        ratio = self.aspect + (1 / self.aspect - self.aspect) * ratio
        tall, wide = (area * ratio).sqrt().round().clamp_(min=1), (area / ratio).sqrt().round().clamp_(min=1)
        fits = (tall < height) & (wide < width)
        first = fits.to(torch.uint8).argmax(0, keepdim=True)
        fits, tall, wide = (values.gather(0, first).squeeze(0) for values in (fits, tall, wide))
        # What does not fit even so has a legal place too, but no height.
        tall, wide = tall.clamp(max=height), wide.clamp(max=width)
        top, left = top * (height - tall + 1), left * (width - wide + 1)
        return top.long(), left.long(), (tall * (fits & (chosen < self.p))).long(), wide.long()


def paste(images: Tensor, patches: Patches) -> Tensor:
    """Copy the patches, each pixel from the nearest one of its source; where a source ends, its border goes on.

    One gather of pixels, whose addresses outside the rectangles are the pixels' own.

    Args:
        images: uint8 [B, H, W, 3], contiguous.
        patches: what to paste.

    Returns:
        uint8 [B, H, W, 3].
    """
    batch, height, width, channels = images.shape
    top, left, tall, wide, source, row, column, angle, mirror = (each[:, None, None] for each in patches)
    y = torch.arange(height, device=images.device)[:, None]
    x = torch.arange(width, device=images.device)
    inside = (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide)                     # [B, H, W]
    down, right = y - (top + (tall - 1) / 2), mirror * (x - (left + (wide - 1) / 2))
    from_y = (row + angle.cos() * down - angle.sin() * right).round().clamp_(0, height - 1).long()
    from_x = (column + angle.sin() * down + angle.cos() * right).round().clamp_(0, width - 1).long()
    own = torch.arange(batch * height * width, device=images.device).view(batch, height, width)
    address = torch.where(inside, (source * height + from_y) * width + from_x, own)
    return images.view(-1, channels).index_select(0, address.flatten()).view(images.shape)
