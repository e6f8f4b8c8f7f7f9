"""What whoever runs an exported file must do to an image first, and what trackers do to theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from nas_reid.data.decoding import resized
from nas_reid.data.normalise import IMAGENET_MEAN, IMAGENET_STD
from nas_reid.data.pixels import upright_rgb

NORMALISATIONS = ("inside", "outside")
INTERPOLATIONS = {
    "antialiased": "bilinear with antialiasing (Pillow)",
    "plain": "bilinear between the four nearest pixels, without antialiasing, not rounded (torch's interpolate)",
    "opencv": "bilinear between the four nearest pixels, without antialiasing, in bytes (OpenCV's INTER_LINEAR)",
}
"""How images may be resized, and what that is called elsewhere."""
LARGEST = (255, 1)


@dataclass(frozen=True)
class InputContract:
    """The input of an exported file: RGB, float32 [B, 3, H, W].

    Args:
        normalisation: ``inside`` the file, which takes values from 0 to ``largest``; or ``outside``: it takes what
            ImageNet's mean and standard deviation have been applied to.
        largest: the value of white, 255 or 1; of no meaning with ``outside``.
        interpolation: how images are resized, bilinear in any case: ``antialiased`` as in training; or from the four
            pixels around a place alone, as trackers do, ``plain`` in floats or ``opencv`` in its rounded integers.
    """

    normalisation: str = "inside"
    largest: int = 255
    interpolation: str = "antialiased"

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift, float32 [3, 1, 1], from the file's input to the network's."""
        mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None]
                     for values in (IMAGENET_MEAN, IMAGENET_STD))
        if self.normalisation == "outside":
            return torch.ones(3, 1, 1), torch.zeros(3, 1, 1)
        return (1 / (self.largest * std)).float(), (-mean / std).float()

    def prepare(self, images: Tensor) -> Tensor:
        """RGB values from 0 to 255, [B, H, W, 3], to the file's input."""
        values = images.permute(0, 3, 1, 2).float().contiguous()
        if self.normalisation == "outside":
            scale, shift = OURS.affine()
            return values * scale + shift
        return values if self.largest == 255 else values / 255

    def resize(self, image: Image.Image, image_size: tuple[int, int]) -> np.ndarray:
        """RGB values from 0 to 255, [H, W, 3], of an open image at ``image_size`` = (height, width).

        Bytes; ``plain``, which does not round, gives float32.
        """
        if self.interpolation == "antialiased":
            return resized(image, image_size)
        pixels = np.array(upright_rgb(image))
        if self.interpolation == "opencv":
            return _fixed_point(pixels, image_size)
        whole = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        plain = F.interpolate(whole, size=image_size, mode="bilinear", align_corners=False, antialias=False)
        return plain[0].permute(1, 2, 0).contiguous().numpy()

    def describe(self, image_size: tuple[int, int]) -> dict[str, Any]:
        """For ``model.json``: its ``input`` and ``normalisation``."""
        inside = self.normalisation == "inside"
        return {"input": {"name": "images", "dtype": "float32", "shape": ["batch", 3, *image_size], "channels": "RGB",
                          "range": [0, self.largest] if inside else None, "interpolation": self.interpolation,
                          "resize": f"{INTERPOLATIONS[self.interpolation]}, without keeping the aspect ratio"},
                "normalisation": {"inside": inside, "mean": IMAGENET_MEAN, "std": IMAGENET_STD,
                                  "of": f"images / {self.largest}" if inside else "values from 0 to 1"}}

    @staticmethod
    def of(plain: Mapping[str, Any]) -> "InputContract":
        """Back from ``describe``; files of older versions, which do not say, take 0 to 255 and resize as in training.

        Raises:
            ValueError: of another version, or damaged.
        """
        given, inside = plain.get("input", {}), plain.get("normalisation", {}).get("inside", True)
        largest = given.get("range", [0, 255])[1] if inside else 255
        contract = InputContract("inside" if inside else "outside", largest, given.get("interpolation", "antialiased"))
        if contract.largest not in LARGEST or contract.interpolation not in INTERPOLATIONS:
            raise ValueError(f"its input has range {given.get('range')} and interpolation {contract.interpolation}")
        return contract


def _fixed_point(pixels: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Bytes [H, W, 3] from bytes [h, w, 3] by weights of 11 bits, whose sums lose their last four bits on the way."""
    (tops, bottoms, upper, lower), (lefts, rights, left, right) = (
        _neighbours(old, new) for old, new in zip(pixels.shape[:2], image_size, strict=True))
    values = pixels.astype(np.int64)
    rows = values[:, lefts] * left[:, None] + values[:, rights] * right[:, None]  # [h, W, 3]
    parts = [(weights[:, None, None] * (rows[places] >> 4)) >> 16 for places, weights in ((tops, upper),
                                                                                         (bottoms, lower))]
    return ((sum(parts) + 2) >> 2).clip(0, 255).astype(np.uint8)


def _neighbours(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of ``new`` places along a side of ``old`` pixels: the pixels before and after, and their weights of 2048."""
    centres = ((np.arange(new) + 0.5) * (old / new) - 0.5).clip(0, old - 1)
    before = np.floor(centres).astype(np.int64)
    after = np.rint((centres - before) * 2048).astype(np.int64)
    return before, np.minimum(before + 1, old - 1), 2048 - after, after


OURS = InputContract()
"""What files take unless something else is asked for."""
TRACKERS = {"boxmot": InputContract("outside", interpolation="opencv"),
            "ultralytics": InputContract("inside", 1, "plain")}
"""Tracker -> what it does to its crops before it calls a re-identification model; see docs/trackers.md."""
