"""Visible images without their colour: grey, or with one channel in place of all three.

Infrared images have three equal channels, which both leave as they are, to the byte. So in batches of two modalities
it is the visible images that change, and no augmentation needs to know which those are.
"""

import torch
from torch import Generator, Tensor

from nas_reid.data.augmentations.grey import grey
from nas_reid.data.augmentations.per_image import change_chosen, check_probability, uniform


class RandomGrey:
    """Replace each image by its luma (ITU-R BT.601) with probability ``p``."""

    def __init__(self, p: float = 0.2) -> None:
        self.p = check_probability("grey.p", p)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Change images [B, H, W, 3]."""
        return self.apply(images, *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor]:
        """Which images change, bool [B]."""
        return (uniform(images, generator) < self.p,)

    def apply(self, images: Tensor, chosen: Tensor) -> Tensor:
        """Change the chosen ones."""
        return change_chosen(images, chosen, _grey)


class ChannelExchange:
    """With probability ``p``, one channel of an image in place of all three (Ye et al. 2021, CAJ, ICCV).

    The channel is red, green or blue, or with ``with_grey`` the luma as a fourth, each as likely as the others.
    """

    def __init__(self, p: float = 0.5, *, with_grey: bool = True) -> None:
        self.p, self.with_grey = check_probability("channels.p", p), bool(with_grey)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Change images [B, H, W, 3]."""
        return self.apply(images, *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Which images change, bool [B], and to which channel, int64 [B]."""
        return (uniform(images, generator) < self.p,
                (uniform(images, generator) * (3 + self.with_grey)).long())

    def apply(self, images: Tensor, chosen: Tensor, channel: Tensor) -> Tensor:
        """Change the chosen ones."""
        return change_chosen(images, chosen, _take, channel)


def _take(images: Tensor, channel: Tensor) -> Tensor:
    """Channel 0 to 2, or 3 for the luma, of each image, three times."""
    four = torch.cat([images, grey(images).to(torch.uint8)[..., None]], dim=3)
    return four.gather(3, channel[:, None, None, None].expand(*images.shape)).contiguous()


def _grey(images: Tensor) -> Tensor:
    return grey(images).to(torch.uint8)[..., None].expand_as(images).contiguous()
