"""Horizontal flip."""

from torch import Generator, Tensor

from nas_reid.data.augmentations.per_image import check_probability, choose, uniform


class HorizontalFlip:
    """Mirror each image with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability("flip.p", p)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Flip images [B, H, W, 3]."""
        chosen = uniform(images, generator) < self.p
        return choose(chosen[:, None, None, None], images.flip(2), images)
