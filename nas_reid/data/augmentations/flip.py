"""Horizontal flip."""

from torch import Generator, Tensor

from nas_reid.data.augmentations.per_image import blend_, byte_mask, check_probability, uniform


class HorizontalFlip:
    """Mirror each image with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability("flip.p", p)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Flip images [B, H, W, 3]."""
        return self.apply(images, *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor]:
        """A mask of the chosen images, uint8 [B, 1, 1, 1]."""
        return (byte_mask(uniform(images, generator) < self.p)[:, None, None, None],)

    def apply(self, images: Tensor, mask: Tensor) -> Tensor:
        """Flip the chosen ones."""
        return blend_(images.flip(2), images, mask)
