"""Horizontal flip."""

from torch import Generator, Tensor

from nas_reid.data.augmentations.per_image import blend, byte_mask, check_probability, uniform


class HorizontalFlip:
    """Mirror each image with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability("flip.p", p)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Flip images [B, H, W, 3]."""
        chosen = uniform(images, generator) < self.p
        return blend(images.flip(2), images, byte_mask(chosen)[:, None, None, None])
