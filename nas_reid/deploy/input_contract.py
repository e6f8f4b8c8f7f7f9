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
INTERPOLATIONS = ("antialiased", "plain")
LARGEST = (255, 1)


@dataclass(frozen=True)
class InputContract:
    """The input of an exported file: RGB, float32 [B, 3, H, W].

    Args:
        normalisation: ``inside`` the file, which takes values from 0 to ``largest``; or ``outside``: it takes what
            ImageNet's mean and standard deviation have been applied to.
        largest: the value of white, 255 or 1; of no meaning with ``outside``.
        interpolation: how images are resized, bilinear in either case: ``antialiased`` as in training, or ``plain``,
            from the four pixels around a place alone, as trackers do.
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
        """RGB bytes [B, H, W, 3] to the file's input."""
        values = images.permute(0, 3, 1, 2).float().contiguous()
        if self.normalisation == "outside":
            scale, shift = OURS.affine()
            return values * scale + shift
        return values if self.largest == 255 else values / 255

    def resize(self, image: Image.Image, image_size: tuple[int, int]) -> np.ndarray:
        """RGB bytes [H, W, 3] of an open image at ``image_size`` = (height, width)."""
        if self.interpolation == "antialiased":
            return resized(image, image_size)
        pixels = torch.from_numpy(np.array(upright_rgb(image))).permute(2, 0, 1)[None].float()
        plain = F.interpolate(pixels, size=image_size, mode="bilinear", align_corners=False, antialias=False)
        return plain[0].permute(1, 2, 0).add_(0.5).byte().numpy()  # rounded half up

    def describe(self, image_size: tuple[int, int]) -> dict[str, Any]:
        """For ``model.json``: its ``input`` and ``normalisation``."""
        inside = self.normalisation == "inside"
        how = ("bilinear with antialiasing (Pillow)" if self.interpolation == "antialiased" else
               "bilinear between the four nearest pixels, without antialiasing (OpenCV's INTER_LINEAR)")
        return {"input": {"name": "images", "dtype": "float32", "shape": ["batch", 3, *image_size], "channels": "RGB",
                          "range": [0, self.largest] if inside else None, "interpolation": self.interpolation,
                          "resize": f"{how}, without keeping the aspect ratio"},
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


OURS = InputContract()
"""What files take unless something else is asked for."""
TRACKERS = {"boxmot": InputContract("outside", interpolation="plain"),
            "ultralytics": InputContract("inside", 1, "plain")}
"""Tracker -> what it does to its crops before it calls a re-identification model; see docs/trackers.md."""
