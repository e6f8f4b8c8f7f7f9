"""Small spaces of NFS, genotypes and images for tests."""

import torch
from torch import Tensor

from search_spaces.nfs import NFS

ARGUMENTS = {"depth": 18, "width": 1 / 16, "specific": 1, "last_stride": 1, "image_size": [64, 32], "position": "stage",
             "levels": "both", "combination": "product", "initial_logit": 2.0, "derivation": "threshold", "ratio": 0.7,
             "floor": 0.25}


def make_space(**changes) -> NFS:
    return NFS(**{**ARGUMENTS, **changes})


def random_probs(space: NFS, *, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {d.name: torch.randn(d.rows, 2, generator=generator).mul(3).softmax(-1) for d in space.decisions()}


def random_images(batch: int = 6, *, size: tuple[int, int] = (64, 32), seed: int = 0) -> Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))
