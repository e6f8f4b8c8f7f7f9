"""Derived seeds and the global ones."""

import random

import numpy as np
import torch

from nas_reid.seed import derive_seed, seed_everything


def test_derived_seeds_are_stable():
    assert derive_seed(0, "augment", 3, 7) == derive_seed(np.int64(0), "augment", 3, torch.tensor(7))
    assert derive_seed(0) == STABLE, "a change of this number breaks the resumption of every run begun before it"


STABLE = 5621864261735219286


def test_derived_seeds_are_distinct_and_fit_every_generator():
    parts = [(seed, name, epoch, step) for seed in range(4) for name in ("a", "b") for epoch in range(9)
             for step in range(9)]
    seeds = [derive_seed(*part) for part in [*parts, (1, 11), (11, 1), ("1", 11), (1,), ("1",), ()]]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)
    torch.Generator().manual_seed(max(seeds))
    np.random.default_rng(max(seeds))


def test_global_generators_repeat():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    seed_everything(2**40)
    first = draw()
    seed_everything(2**40)
    assert draw() == first
