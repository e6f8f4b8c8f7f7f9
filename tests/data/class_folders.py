"""Small ImageNet-style folders for tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_classes(root: Path, *, classes: int = 3, train: int = 4, val: int = 2, size: tuple[int, int] = (24, 40),
                  suffix: str = ".png") -> Path:
    """``train`` and ``val`` images (size: height, width) of each class; its mean colour tells the class."""
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("val", val)):
        for label in range(classes):
            folder = root / part / f"n{label:02d}"
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 60, (*size, 3)) + np.eye(3, dtype=int)[label % 3] * 150
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}{suffix}")
    return root
