"""Distances from queries to the gallery, a block of rows at a time, the same to the last bit in every block.

A matrix product rounds differently at different positions and block sizes, so two identical gallery images could
get different distances and a ranking could depend on the block size or the machine. Here every feature row is
first rounded to a fixed-point grid of b bits below its own largest value, b = floor((53 - ceil(log2 D)) / 2)
(22 bits at D = 512, 21 at D = 2048). Products of two such rows and all their partial sums are then whole multiples
of one power of two below 2^53 of them: float64 holds them without rounding, in whatever order a CPU or a GPU adds.
Hence equal features tie exactly, d(x, x) = 0, d(x, y) = d(y, x), and nothing cancels. The grid moves a component
by at most 2^-(b+1) of the row's largest one, which is what float32 arithmetic itself would cost.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nas_reid.errors import DataError, require_known
from nas_reid.network.finite import require_finite_features

BLOCK_MEMORY = 256 * 2**20  # bytes that one block of rows and its temporaries may take
_TILE_MEMORY = 2**19  # bytes of float64 at a time where there is little arithmetic, so that only the cache counts


# In place of the dot products.
def _squared_euclidean(dots: Tensor, squares_x: Tensor, squares_y: Tensor) -> Tensor:
    return torch.sub(squares_x + squares_y, dots, alpha=2, out=dots).clamp_min_(0)


def _euclidean(dots: Tensor, squares_x: Tensor, squares_y: Tensor) -> Tensor:
    return _squared_euclidean(dots, squares_x, squares_y).sqrt_()


def _cosine(dots: Tensor, squares_x: Tensor, squares_y: Tensor) -> Tensor:
    # sqrt(a·a) is exactly a, which sqrt(a)·sqrt(a) is not; a zero vector is orthogonal to everything.
    norms = (squares_x * squares_y).sqrt_()
    return torch.sub(1, dots.div_(norms.masked_fill_(norms == 0, 1)), out=dots).clamp_min_(0)


DISTANCES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "euclidean": _euclidean,
    "squared_euclidean": _squared_euclidean,
    "cosine": _cosine,
}


class DistanceBlocks(Protocol):
    """Anything that can be ranked: a query x gallery matrix that is computed by rows and never held.

    Attributes:
        shape: (N_q, N_g).
        device: where ``block`` leaves its result.
    """

    shape: tuple[int, int]
    device: torch.device

    def block(self, start: int, stop: int) -> Tensor:
        """Distances [stop - start, N_g] of queries ``start`` to ``stop - 1``; the caller may overwrite them."""
        ...


@dataclass(frozen=True)
class GridFeatures:
    """Feature rows rounded to the grid on which dot products are exact; build with ``GridFeatures.of``.

    Attributes:
        rows: float64 [N, D]: float32 would have to be widened anew for each block.
        squares: float64 [N], the exact squared norms.
    """

    rows: Tensor
    squares: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "GridFeatures":
        """Round ``features`` [N, D] of any float type.

        Raises:
            DataError: not a matrix with at least one row, or not finite.
        """
        if features.ndim != 2 or 0 in features.shape:
            raise DataError(f"features have shape {list(features.shape)}; expected [images, dimensions] without "
                            "zeros: is the query or gallery list empty?")
        bits = min(24, (53 - math.ceil(math.log2(features.shape[1]))) // 2)
        rows = torch.empty_like(features, dtype=torch.float64)
        squares = features.new_empty(len(features), dtype=torch.float64)
        for part in _slices(len(features), _TILE_MEMORY // (8 * features.shape[1])):
            values = features[part].float()
            require_finite_features(values, first=part.start)
            exponents = torch.frexp(values.abs().amax(dim=1, keepdim=True)).exponent  # |value| < 2^exponent
            step = torch.ldexp(squares.new_ones(len(values), 1), exponents - bits)
            rows[part] = (values / step).round_().mul_(step)
            squares[part] = rows[part].square().sum(dim=1)
        return cls(rows, squares)

    def __getitem__(self, images: slice) -> "GridFeatures":
        """Some of the images; copies nothing."""
        return GridFeatures(self.rows[images], self.squares[images])


class FeatureDistances:
    """Distances between two feature sets, by blocks of rows (a ``DistanceBlocks``).

    Args:
        query: rounded query features [N_q, D].
        gallery: rounded gallery features [N_g, D], on the same device; may be the same object.
        distance: ``euclidean`` (||x - y||, the features as they are), ``squared_euclidean``, or ``cosine``
            (1 - x·y / (||x|| ||y||); a zero vector is at distance 1 from everything).

    Raises:
        ConfigError: unknown distance.
        DataError: the two sets differ in dimension.
    """

    def __init__(self, query: GridFeatures, gallery: GridFeatures, *, distance: str = "euclidean") -> None:
        require_known("distance", distance, sorted(DISTANCES))
        if query.rows.shape[1] != gallery.rows.shape[1]:
            raise DataError(f"query features have {query.rows.shape[1]} dimensions and gallery features "
                            f"{gallery.rows.shape[1]}; extract both with the same network")
        self.query = query
        self.gallery = gallery
        self.shape = (len(query.rows), len(gallery.rows))
        self.device = query.rows.device
        self._distance = distance

    def part(self, queries: slice, gallery: slice) -> "FeatureDistances":
        """The distances of some rows to some columns; copies nothing."""
        return FeatureDistances(self.query[queries], self.gallery[gallery], distance=self._distance)

    def block(self, start: int, stop: int) -> Tensor:
        """Float64 distances [stop - start, N_g] of queries ``start`` to ``stop - 1``."""
        block, squares = self.query.rows[start:stop] @ self.gallery.rows.T, self.query.squares[start:stop, None]
        for tile in _slices(len(block), _TILE_MEMORY // (8 * self.shape[1])):
            DISTANCES[self._distance](block[tile], squares[tile], self.gallery.squares)
        return block

    def pairs(self, queries: Tensor, gallery: Tensor) -> Tensor:
        """Float64 distances [n] of n (query index, gallery index) pairs; equal to the entries of ``block``."""
        result = self.query.squares.new_empty(len(queries))
        size = max(1, _TILE_MEMORY // (8 * self.query.rows.shape[1]))
        for x, y, out in zip(queries.split(size), gallery.split(size), result.split(size), strict=True):
            dots = (self.query.rows[x] * self.gallery.rows[y]).sum(dim=1)
            out.copy_(DISTANCES[self._distance](dots, self.query.squares[x], self.gallery.squares[y]))
        return result


def feature_distances(query_features: Tensor, gallery_features: Tensor, *,
                      distance: str = "euclidean") -> FeatureDistances:
    """``FeatureDistances`` of two raw feature matrices [N_q, D] and [N_g, D]; computed where the queries lie."""
    gallery_features = gallery_features.to(query_features.device)
    return FeatureDistances(GridFeatures.of(query_features), GridFeatures.of(gallery_features), distance=distance)


def rows_per_block(columns: int, *, bytes_per_pair: int) -> int:
    """How many rows of ``columns`` pairs fit ``BLOCK_MEMORY`` (at least one)."""
    return max(1, BLOCK_MEMORY // (columns * bytes_per_pair))


def _slices(count: int, size: int) -> list[slice]:
    """Of ``size`` items, or of one if ``size`` is 0."""
    return [slice(first, first + max(1, size)) for first in range(0, count, max(1, size))]
