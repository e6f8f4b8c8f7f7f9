"""Small Auto-ReID spaces, mixing weights and alphas for the tests of this folder."""

import torch

from nas_reid.search_space import Mix
from search_spaces.auto_reid import AutoReID


def make_space(**changes):
    arguments = {"channels": 6, "layers": [1, 1], "nodes": 4, "primitives": "reid", "parts": 4,
                 "part_attention": "published", "stem": "reid"}
    return AutoReID(**{**arguments, **changes})


def make_alphas(space, *, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return {decision.name: torch.randn(decision.rows, len(decision.choices), generator=generator,
                                       dtype=dtype).requires_grad_() for decision in space.decisions()}


def softmax_mixes(alphas):
    return {name: Mix(alpha.softmax(-1)) for name, alpha in alphas.items()}


def hard_mixes(alphas, *, seed=1, sampled_only):
    """Straight-through one-hot weights at a random choice per row."""
    generator = torch.Generator().manual_seed(seed)
    mixes = {}
    for name, alpha in alphas.items():
        soft = alpha.softmax(-1)
        index = torch.multinomial(soft.detach(), 1, generator=generator).squeeze(1)
        hard = torch.nn.functional.one_hot(index, soft.shape[1]).to(soft.dtype)
        mixes[name] = Mix(hard - soft.detach() + soft, index, sampled_only)
    return mixes


def make_images(*, batch=3, height=64, width=32, seed=2, dtype=torch.float64):
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)
