"""Small and published OSNets, and reproducible weights and images for them."""

import zlib

import numpy as np
import torch
from torch import Tensor

from nas_reid.modules.head import Head
from nas_reid.network.model import ReIDNetwork
from nas_reid.registry import load_genotype, space_of
from search_spaces.osnet_ain import OSNetAIN

ARGUMENTS = {"width": 0.25, "streams": 4, "stream_depth": 0, "convolution": "lite", "fusion": "unified",
             "stem": "instance", "candidates": "separate"}


def make_space(**changes) -> OSNetAIN:
    return OSNetAIN(**{**ARGUMENTS, **changes})


def published(name: str, *, width: float = 1.0, num_classes: int = 10, **changes) -> ReIDNetwork:
    """A published genotype's network with the published head."""
    genotype = load_genotype(f"osnet_ain/{name}")
    trunk = space_of(genotype, {"width": width, **changes}).network(genotype)
    return ReIDNetwork(trunk, Head(trunk.out_channels, num_classes, **OSNetAIN.head))


def uniforms(key: str, count: int) -> np.ndarray:
    """``count`` numbers in [0, 1) with 24 bits, decided by the key: splitmix64 of index and checksum."""
    z = np.arange(count, dtype=np.uint64) + np.uint64(((zlib.crc32(key.encode()) << 32) + 0x9E3779B97F4A7C15) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) / 2**24


def filled(key: str, like: Tensor) -> Tensor:
    """Reproducible values for an entry of a state dict, of a scale that keeps activations alive."""
    u = uniforms(key, like.numel())
    if key.endswith("running_var"):
        values = 0.5 + u
    elif like.ndim >= 2:
        values = (2 * u - 1) * np.sqrt(3 / np.prod(like.shape[1:]))
    elif key.endswith(".weight"):
        values = 0.75 + 0.5 * u
    else:
        values = 0.2 * (u - 0.5)
    return torch.from_numpy(values.astype(np.float32)).reshape(like.shape)


def wave_images() -> Tensor:
    """[2, 3, 256, 128], two smooth patterns."""
    b, c, r, w = np.ogrid[:2, :3, :256, :128]
    images = np.sin(0.07 * (b + 1) * r + 0.9 * c) + 0.5 * np.cos(0.13 * w * (c + 1) - 0.4 * b)
    return torch.from_numpy(images.astype(np.float32))


def random_images(*, batch: int = 4, height: int = 64, width: int = 32, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(2), dtype=dtype)
