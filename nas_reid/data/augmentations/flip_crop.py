"""Flip and pad-and-crop in one go."""

import torch
from torch import Generator, Tensor

from nas_reid.data.augmentations.crop import PadCrop, cut
from nas_reid.data.augmentations.flip import HorizontalFlip


class FlipCrop:
    """``flip`` and then ``crop``, to the same result from the same draws, in half the traffic on a CPU.

    Both move bytes only. The mirror images of the chosen ones are padded beside all images, and the windows are cut out
    of whichever of the two is meant: no choice between two whole batches.

    Args:
        flip, crop: the two steps.
    """

    def __init__(self, flip: HorizontalFlip, crop: PadCrop) -> None:
        self.flip, self.crop = flip, crop

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """What both steps draw."""
        return *self.flip.draw(images, generator), *self.crop.draw(images, generator)

    def apply(self, images: Tensor, mask: Tensor, starts: Tensor) -> Tensor:
        """Flip the chosen ones, pad and cut."""
        if images.device.type != "cpu":
            return self.crop.apply(self.flip.apply(images, mask), starts)
        chosen, padding = mask.flatten().nonzero().squeeze(1), self.crop.padding
        count, height, width, channels = images.shape
        sources = images.new_zeros(count + len(chosen), height + 2 * padding, width + 2 * padding, channels)
        inside = sources[:, padding:padding + height, padding:padding + width]
        inside[:count] = images
        inside[count:] = images.index_select(0, chosen).flip(2)
        source = torch.arange(count)
        source[chosen] = torch.arange(count, len(sources))
        return cut(sources, starts, width=width, source=source)
