"""Independent random streams: each choice has its own, so that switching one factor moves no other."""

import zlib

import numpy as np


def stream(seed: int, name: str, *keys: int) -> np.random.Generator:
    """The generator of the choice ``name`` for the object that ``keys`` number (all non-negative)."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *keys])
