"""AutoAugment with its ImageNet policy."""

from collections.abc import Mapping
from functools import cache

import torch
from torch import Generator, Tensor

from nas_reid.data.augmentations import grey, tables, warp
from nas_reid.data.augmentations.per_image import change_chosen, check_probability, uniform

# Sub-policies of Cubuk et al. 2019 (arXiv:1805.09501), Table 9: two operations, each with its probability in tenths and
# its magnitude. Autocontrast, equalize and invert ignore theirs.
_POLICY = """
    posterize 4 8, rotate 6 9; solarize 6 5, autocontrast 6 5; equalize 8 8, equalize 6 3; posterize 6 7, posterize 6 6;
    equalize 4 7, solarize 2 4; equalize 4 4, rotate 8 8; solarize 6 3, equalize 6 7; posterize 8 5, equalize 10 2;
    rotate 2 3, solarize 6 8; equalize 6 8, posterize 4 6; rotate 8 8, colour 4 0; rotate 4 9, equalize 6 2;
    equalize 0 7, equalize 8 8; invert 6 4, equalize 10 8; colour 6 4, contrast 10 8; rotate 8 8, colour 10 2;
    colour 8 8, solarize 8 7; sharpness 4 7, invert 6 8; shear 6 5, equalize 10 9; colour 4 0, equalize 6 3;
    equalize 4 7, solarize 2 4; solarize 6 5, autocontrast 6 5; invert 6 4, equalize 10 8; colour 6 4, contrast 10 8;
    equalize 8 8, equalize 6 3"""

_BY_TABLE = ("posterize", "solarize", "invert", "contrast", "autocontrast", "equalize")
OPERATIONS = (*_BY_TABLE, "colour", "sharpness", "rotate", "shear")
"""Names of the operations; what an image undergoes is an index into them, or ``NOTHING``."""
NOTHING = len(OPERATIONS)
_FILL = 128  # of what a warp leaves empty


class AutoAugment:
    """With probability ``p``, one of the 25 sub-policies that were found on ImageNet (Cubuk et al. 2019).

    Each image draws a sub-policy of two operations, and whether each of them takes place. A magnitude m stands for the
    m-th tenth of the operation's range: rotation by up to 30 degrees and shearing by up to 0.3, both in either
    direction; 4 to 8 bits; a solarization threshold of 0 to 256; factors of colour, contrast and sharpness from 0.1 to
    1.9. Warps are bilinear and leave grey (128). FastReID's strong baselines use it with p = 0.1.

    Operations of a kind are computed together: six of them are tables of 256 bytes, which one gather looks up; two
    are warps, which one grid sample does.

    Raises:
        ConfigError: ``p`` lies outside [0, 1].
    """

    def __init__(self, p: float = 0.1) -> None:
        self.p = check_probability("autoaugment.p", p)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Augment images [B, H, W, 3]."""
        return self.apply(images, *self.draw(images, generator))

    def draw(self, images: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw the first and the second operation, int64 [B, 2], and their values, float32 [B, 2]."""
        operations, chances, values = _policy(images.device)
        chosen, policy = uniform(images, generator) < self.p, (uniform(images, generator) * len(operations)).long()
        happens = torch.stack([uniform(images, generator) for _ in range(2)], dim=1) < chances[policy]
        backwards = torch.stack([uniform(images, generator) for _ in range(2)], dim=1) < 0.5
        operation = torch.where(happens & chosen[:, None], operations[policy], NOTHING)
        signed = backwards & (operation >= OPERATIONS.index("rotate"))
        return operation, torch.where(signed, -values[policy], values[policy])

    def apply(self, images: Tensor, operation: Tensor, value: Tensor) -> Tensor:
        """The first operation and then the second."""
        for first_or_second in range(2):
            images = operate(images, operation[:, first_or_second], value[:, first_or_second])
        return images


def operate(images: Tensor, operation: Tensor, value: Tensor) -> Tensor:
    """One operation on each image.

    Args:
        images: uint8 [B, H, W, 3], contiguous.
        operation: int64 [B], index into ``OPERATIONS``, or ``NOTHING``.
        value: float32 [B], what the operation takes: bits, threshold, factor, degrees or rate.

    Returns:
        uint8 [B, H, W, 3].
    """
    colour, sharpness, rotate = (OPERATIONS.index(name) for name in ("colour", "sharpness", "rotate"))
    images = change_chosen(images, operation < len(_BY_TABLE), _by_table, operation, value)
    images = change_chosen(images, operation == colour, grey.saturate, value)
    images = change_chosen(images, operation == sharpness, grey.sharpen, value)
    return change_chosen(images, (operation >= rotate) & (operation < NOTHING), _warp, operation, value)


def _by_table(images: Tensor, operation: Tensor, value: Tensor) -> Tensor:
    counts = tables.histogram(images)
    known: Mapping[str, Tensor] = {
        "posterize": tables.posterize(value), "solarize": tables.solarize(value),
        "invert": tables.solarize(torch.zeros_like(value)), "contrast": tables.contrast(images, value),
        "autocontrast": tables.autocontrast(counts), "equalize": tables.equalize(counts)}
    stacked = torch.stack([known[name].expand(-1, 3, -1) for name in _BY_TABLE], dim=1)          # [B, 6, 3, 256]
    index = operation.clamp(max=len(_BY_TABLE) - 1)[:, None, None, None].expand(-1, 1, 3, 256)
    return tables.look_up(images, stacked.gather(1, index).squeeze(1))


def _warp(images: Tensor, operation: Tensor, value: Tensor) -> Tensor:
    height, width = images.shape[1:3]
    turned = (operation == OPERATIONS.index("rotate"))[:, None, None]
    matrices = torch.where(turned, warp.rotation(value, height=height, width=width), warp.shear(value))
    return warp.warp(images, matrices, fill=_FILL)


@cache
def _policy(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Operations, their probabilities and their values, each [25, 2]."""
    parsed = [[step.split() for step in policy.split(",")] for policy in _POLICY.split(";")]
    operations = torch.tensor([[OPERATIONS.index(name) for name, *_ in policy] for policy in parsed])
    chances = torch.tensor([[int(tenths) / 10 for _, tenths, _ in policy] for policy in parsed])
    values = torch.tensor([[_value(name, int(magnitude) / 10) for name, _, magnitude in policy] for policy in parsed])
    return operations.to(device), chances.to(device), values.to(device)


def _value(operation: str, part: float) -> float:
    """What an operation takes at ``part`` of its range."""
    if operation in ("colour", "contrast", "sharpness"):
        return 0.1 + 1.8 * part
    whole = {"posterize": 4 + int(4 * part), "solarize": int(256 * part)}
    return float(whole[operation]) if operation in whole else {"rotate": 30.0, "shear": 0.3}.get(operation, 0.0) * part
