"""Deep spatial reconstruction: images compared by their feature maps, for people of whom only a part is visible.

A query that shows a part of a person should not be compared with a whole one by two means over all places. Here every
cell of the query's map looks for its like in the gallery image's map, wherever it is (He et al., CVPR 2018 and ICCV
2019). Two forms:

* ``paper`` (He et al. 2020, FastReID, Sec. 5.1): a cell's score is its cosine with the most similar gallery cell; the
  distance is one minus the mean score (the paper's sum differs by the constant number of cells);
* ``reconstruction`` (He et al. 2018, as published in FastReID): the residual ||Y c - x|| of each cell x by ridge
  regression on all gallery cells Y, c = (Y'Y + ridge I)^-1 Y'x, over cells max-pooled at several scales. The mean over
  the cells is uniform, where the published code weighs by a mask that is learned along with its network. It takes
  maps with more channels than cells: fewer channels are spanned by any image's cells, and nothing is left over.

Cells are scaled to length 1. The distance is mixed with the cosine distance of the embeddings by a weight that is
fixed beforehand; the published code takes the one of 101 weights with which the *test* set comes out best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, normalize

from nas_reid.errors import ConfigError, require_known
from nas_reid.evaluation.distance import DistanceBlocks, feature_distances
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.nearest import smallest
from nas_reid.evaluation.placing import BLOCKS, feature_bytes
from nas_reid.evaluation.protocol import JunkRule

FORMS = ("paper", "reconstruction")
SCALES = (2, 4, 6, 8)  # sides of the pooling windows, whose stride is 2


@dataclass(frozen=True)
class SpatialReconstruction:
    """DSR as a variant: the nearest gallery images by cosine are ranked by (1 - weight) · cosine + weight · DSR.

    Args:
        form: ``paper`` or ``reconstruction``.
        weight: of the DSR distance, in [0, 1].
        candidates: gallery images per query that are compared by their maps; the others follow them.
        ridge: of the reconstruction.
    """

    form: str = "reconstruction"
    weight: float = 0.5
    candidates: int = 100
    ridge: float = 1e-3
    needs_maps = True
    needs_cosine = True

    def __post_init__(self) -> None:
        require_known("evaluation.dsr.form", self.form, FORMS)
        if not 0 <= self.weight <= 1 or self.candidates < 1 or self.ridge < 1e-4:
            raise ConfigError(f"evaluation.dsr has weight={self.weight}, candidates={self.candidates}, ridge="
                              f"{self.ridge}; needs 0 <= weight <= 1, candidates >= 1 and ridge >= 1e-4")

    def check(self, num_gallery: int) -> None:
        """See ``variants.Variant``; any gallery will do."""

    def distances(self, query: Embedded, gallery: Embedded, *, distance: str, junk: JunkRule) -> "DsrDistances":
        """See ``variants.Variant``; junk is among the candidates, as in the published code."""
        return DsrDistances(feature_distances(query.features, gallery.features, distance=distance),
                            *(cells_of(_maps(side), pyramid=self.form == "reconstruction")
                              for side in (query, gallery)), method=self)

    def memory(self, query: Embedded, gallery: Embedded) -> int:
        """See ``variants.Variant``: maps and their cells, which are pooled, joined and scaled; a query's candidates."""
        (channels, height, width), num_images = _maps(query).shape[1:], len(query) + len(gallery)
        scales = _scales((height, width), pyramid=self.form == "reconstruction")
        cells = sum(((height - side) // 2 + 1) * ((width - side) // 2 + 1) for side in scales) or height * width
        return (feature_bytes(query, gallery, copies=2) + 4 * num_images * channels * (height * width + 3 * cells)
                + 8 * min(self.candidates, len(gallery)) * cells * (2 * channels + 6 * cells) + BLOCKS)

    def describe(self) -> dict[str, Any]:
        """See ``variants.Variant``."""
        return {"method": f"deep spatial reconstruction, {self.form} form", "weight": self.weight,
                "weight chosen": "beforehand", "candidates": self.candidates, "transductive": False,
                **({"ridge": self.ridge} if self.form == "reconstruction" else {})}


def _maps(side: Embedded) -> Tensor:
    if side.maps is None:
        raise ValueError("these images were embedded without their maps; see `retrieval.embed(maps=True)`")
    return side.maps


class DsrDistances:
    """Mixed distances by blocks of queries (a ``distance.DistanceBlocks``).

    Args:
        plain: cosine distances of the embeddings.
        query_cells, gallery_cells: [N_q, n, C] and [N_g, m, C].
        method: form, weight, candidates and ridge.
    """

    def __init__(self, plain: DistanceBlocks, query_cells: Tensor, gallery_cells: Tensor, *,
                 method: SpatialReconstruction) -> None:
        self._plain, self._query, self._gallery, self._method = plain, query_cells, gallery_cells, method
        self.shape, self.device = plain.shape, plain.device

    def block(self, start: int, stop: int) -> Tensor:
        """Float64 distances [stop - start, N_g] of queries ``start`` to ``stop - 1``."""
        method, result = self._method, self._plain.block(start, stop)
        values, columns = smallest(result, method.candidates)
        for row, cells, near, candidates in zip(result, self._query[start:stop], values, columns, strict=True):
            theirs = self._gallery[candidates]
            found = (best_match_distances(cells, theirs) if method.form == "paper" else
                     reconstruction_distances(cells, theirs, ridge=method.ridge))
            mixed = (1 - method.weight) * near + method.weight * found
            row += mixed.max() + 1  # whatever is no candidate comes after all candidates, in its own order
            row[candidates] = mixed
        return result


def cells_of(maps: Tensor, *, pyramid: bool) -> Tensor:
    """Cells of length 1, [N, n, C], of maps [N, C, H', W'].

    Args:
        maps: of the trunk.
        pyramid: max-pool with the windows of ``SCALES`` that fit the map (a 24 x 8 map gives 110 cells); else, and
            for a map smaller than the smallest window, its H'W' places.
    """
    levels = [max_pool2d(maps, side, stride=2) for side in _scales(maps.shape[2:], pyramid=pyramid)] or [maps]
    return normalize(torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2), dim=2)


def _scales(size: Sequence[int], *, pyramid: bool) -> list[int]:
    """The windows by which maps of that height and width are pooled; none: they are taken as they are."""
    return [side for side in SCALES if pyramid and side <= min(size)]


def best_match_distances(query: Tensor, gallery: Tensor) -> Tensor:
    """1 - mean over the query's cells [n, C] of the cosine with the best cell of each gallery image [k, m, C]: [k]."""
    return 1 - (query @ gallery.transpose(1, 2)).amax(dim=2).mean(dim=1).double()


def reconstruction_distances(query: Tensor, gallery: Tensor, *, ridge: float) -> Tensor:
    """Mean length [k] of what ridge regression on each gallery image's cells leaves of the query's cells.

    With K = Y'Y, a = Y'x and (K + ridge I) c = a, the squared residual of a cell x of length 1 is
    1 - a'c - ridge c'c; no reconstruction Yc is ever formed.

    Args:
        query: cells [n, C].
        gallery: cells [k, m, C].
        ridge: at least 1e-4: inner products are of float32.
    """
    inner = (gallery @ gallery.transpose(1, 2)).double()
    inner.diagonal(dim1=1, dim2=2).add_(ridge)
    products = (gallery @ query.T).double()                                               # a: [k, m, n]
    coefficients = torch.cholesky_solve(products, torch.linalg.cholesky(inner))           # c
    squared = query.double().square().sum(dim=1) - (coefficients * (products + ridge * coefficients)).sum(dim=1)
    return squared.clamp_min_(0).sqrt_().mean(dim=1)
