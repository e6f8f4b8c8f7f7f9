"""Sources and the edges that leave them: what a fused op works on, and what fused ops share."""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from search_spaces.auto_reid.grouped_conv import to_tokens
from search_spaces.auto_reid.part_aware import stripe_bounds


class Fan:
    """S sources that each feed the same E targets. Channels of wide maps run over (source, target, channel).

    Args:
        x: [B, S c, H, W], the sources side by side, in channels-last memory.
        sources: S.
        targets: E.
        stride: of every edge.
    """

    def __init__(self, x: Tensor, *, sources: int, targets: int, stride: int) -> None:
        self.x = x
        self.sources = sources
        self.targets = targets
        self.stride = stride
        self.channels = x.shape[1] // sources
        self._rectified: Tensor | None = None

    @property
    def rectified(self) -> Tensor:
        """ReLU of the sources, [B, S c, H, W], computed at its first use."""
        if self._rectified is None:  # torch.compile breaks a graph at a cached_property
            self._rectified = F.relu(self.x)
        return self._rectified

    def stripes(self, parts: int) -> Tensor:
        """Stripe averages, [B, M, S c]."""
        average = stripe_selection(self.x.shape[2], parts, self.x.dtype, self.x.device).average
        return torch.bmm(average.expand(len(self.x), -1, -1), to_tokens(self.x).mean(dim=2))


class Stripes(NamedTuple):
    """How rows and stripes of a map belong together.

    Attributes:
        select: [H, M], one-hot: the stripe of each row.
        average: [M, H], one over the stripe's height on its rows.
    """

    select: Tensor
    average: Tensor


def stripe_selection(height: int, parts: int, dtype: torch.dtype, device: torch.device) -> Stripes:
    """Both matrices, built once per size: building them on a GPU in every step would make it wait. In a graph of
    ``torch.compile`` they are part of it.

    Raises:
        ConfigError: fewer rows than stripes.
    """
    if torch.compiler.is_compiling():
        return _build(height, parts, dtype, device)
    return _kept(height, parts, dtype, device)


@lru_cache(maxsize=256)
def _kept(height: int, parts: int, dtype: torch.dtype, device: torch.device) -> Stripes:
    # Kept beyond the current mode: an inference tensor would be refused by a later training step.
    with torch.inference_mode(False):
        return _build(height, parts, dtype, device)


def _build(height: int, parts: int, dtype: torch.dtype, device: torch.device) -> Stripes:
    bounds = stripe_bounds(height, parts)
    rows = [[float(top <= row < bottom) for top, bottom in pairwise(bounds)] for row in range(height)]
    select = torch.tensor(rows, dtype=dtype, device=device)
    return Stripes(select, (select / select.sum(0)).mT.contiguous())
