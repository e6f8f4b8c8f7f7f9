"""The part-aware op of Auto-ReID (Quan et al., ICCV 2019, section 3.3 and figure 2).

Split the map into M horizontal stripes, average each to a vector, project it, let the M vectors attend to each
other, broadcast each back over its stripe, concatenate with the input and fuse by a 1x1 convolution.

The paper leaves the layers open. ``published`` is the layout of the authors' released op, with which the released
cells reproduce the paper's parameter counts; ``qkv`` is the textbook self-attention reading. Differences from the
released op: any H >= M at any stride, and rows are split by exact integer bounds.

Width is written ``c``, the projected width ``h``, stripes ``M``.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from nas_reid.errors import ConfigError
from search_spaces.auto_reid.grouped_conv import from_tokens, to_tokens


def stripe_bounds(height: int, parts: int) -> list[int]:
    """Rows 0 = b_0 < ... < b_M = H with ``b_i = floor(i H / M)``: stripes that differ by at most one row.

    Raises:
        ConfigError: fewer rows than stripes.
    """
    if height < parts:
        raise ConfigError(f"part_aware splits a map into {parts} stripes, but it has {height} rows here: use taller "
                          f"images, fewer parts or blocks (parts=, layers=) or primitives=darts: space.<argument>= "
                          "of a search, network.<argument>= of a training")
    return [i * height // parts for i in range(parts + 1)]


def average_stripes(x: Tensor, bounds: list[int]) -> Tensor:
    """Mean of each stripe: [B, c, H, W] to [B, M, c]."""
    rows = to_tokens(x).mean(dim=2)  # first of all, so that one map-sized gradient comes back, in channels-last memory
    return torch.stack([rows[:, top:bottom].mean(dim=1) for top, bottom in pairwise(bounds)], dim=1)


def broadcast_stripes(vectors: Tensor, bounds: list[int], width: int) -> Tensor:
    """Repeat each stripe's vector over its rows and columns: [B, M, h] to [B, h, H, W]."""
    rows = [vectors[:, i, None, None].expand(-1, bottom - top, width, -1)
            for i, (top, bottom) in enumerate(pairwise(bounds))]
    return from_tokens(torch.cat(rows, dim=1))


class PublishedPartAware(nn.Module):
    """Released layout: per stripe ReLU, its own linear c -> h = floor(c / 3), batch norm; attention without values.

    ``A = softmax(K Q^T)`` unscaled, with ``K = W_K f``, ``Q = W_Q f``; vectors ``A f``. Parameters with affine
    batch norms: ``4 (c h + 3 h) + 2 (h^2 + h) + (c + h) c + 2 c`` for M = 4.

    Args:
        channels: width c, at least 3.
        parts: stripes M.
        norm: channels -> batch norm.
        fuse: [B, c + h, H, W] to the output, with the op's stride.
    """

    def __init__(self, channels: int, *, parts: int, norm: Callable[[int], nn.Module], fuse: nn.Module) -> None:
        super().__init__()
        hidden = channels // 3
        self.parts = parts
        self.project = nn.Conv2d(parts * channels, parts * hidden, 1, groups=parts)  # one linear per stripe
        self.norm = norm(parts * hidden)
        self.keys_and_queries = nn.Linear(hidden, 2 * hidden)
        self.fuse = fuse

    @staticmethod
    def fuse_channels(channels: int) -> int:
        """Channels of the concatenation that ``fuse`` receives."""
        return channels + channels // 3

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, H, W] to [B, c, ceil(H / stride), ceil(W / stride)]; H >= M."""
        bounds = stripe_bounds(x.shape[2], self.parts)
        stripes = average_stripes(x, bounds).relu().flatten(1)                           # [B, M c]
        features = self.norm(self.project(stripes[..., None, None]))                     # [B, M h, 1, 1]
        features = features.view(x.shape[0], self.parts, -1)                              # [B, M, h]
        keys, queries = self.keys_and_queries(features).chunk(2, dim=-1)
        attention = torch.softmax(keys @ queries.mT, dim=-1)                             # [B, M, M]
        return self.fuse(torch.cat([x, broadcast_stripes(attention @ features, bounds, x.shape[3])], dim=1))


class QKVPartAware(nn.Module):
    """Textbook layout: one linear c -> c for all stripes, then single-head attention with queries, keys and values.

    ``softmax(Q K^T / sqrt(c)) V`` (Vaswani et al., 2017). About ``6 c^2`` parameters. Arguments as in
    ``PublishedPartAware``; ``fuse`` receives 2 c channels.
    """

    def __init__(self, channels: int, *, parts: int, norm: Callable[[int], nn.Module], fuse: nn.Module) -> None:
        super().__init__()
        self.parts = parts
        self.project = nn.Linear(channels, channels)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.fuse = fuse

    @staticmethod
    def fuse_channels(channels: int) -> int:
        """Channels of the concatenation that ``fuse`` receives."""
        return 2 * channels

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, H, W] to [B, c, ceil(H / stride), ceil(W / stride)]; H >= M."""
        bounds = stripe_bounds(x.shape[2], self.parts)
        features = self.project(average_stripes(x, bounds))                                # [B, M, c]
        scores = self.query(features) @ self.key(features).mT / features.shape[-1] ** 0.5  # [B, M, M]
        vectors = torch.softmax(scores, dim=-1) @ self.value(features)
        return self.fuse(torch.cat([x, broadcast_stripes(vectors, bounds, x.shape[3])], dim=1))


PART_AWARE: dict[str, type[PublishedPartAware] | type[QKVPartAware]] = {
    "published": PublishedPartAware,
    "qkv": QKVPartAware,
}
