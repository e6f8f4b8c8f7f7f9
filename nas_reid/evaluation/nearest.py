"""The first k of the ranked lists: for pictures of retrievals, and for neighbourhoods in re-ranking."""

from collections.abc import Callable

import torch
from torch import Tensor

from nas_reid.evaluation.distance import DistanceBlocks, feature_distances, rows_per_block
from nas_reid.evaluation.protocol import JunkRule, Labels, same_identity_and_camera

_BYTES_PER_PAIR = 40  # distances 8, masks 2, topk's scratch or, with ties, a stable sort of the tied rows


def nearest(query_features: Tensor, gallery_features: Tensor, *, k: int, query_pids: Tensor, query_camids: Tensor,
            gallery_pids: Tensor, gallery_camids: Tensor, distance: str = "euclidean",
            junk: JunkRule = same_identity_and_camera) -> Tensor:
    """Gallery indices [N_q, k] of each query's ranked list, without junk, in the order ``ranking.rank`` scores.

    Args:
        query_features: [N_q, D].
        gallery_features: [N_g, D].
        k: length of the lists, at least 1.
        query_pids, query_camids: [N_q].
        gallery_pids, gallery_camids: [N_g].
        distance: a name of ``distance.DISTANCES``.
        junk: which gallery images do not count for a query.

    Returns:
        int64 on the CPU; -1 where a query's list is shorter than k.
    """
    return nearest_blocks(feature_distances(query_features, gallery_features, distance=distance), k=k,
                          query_pids=query_pids, query_camids=query_camids, gallery_pids=gallery_pids,
                          gallery_camids=gallery_camids, junk=junk)


def nearest_blocks(distances: DistanceBlocks, *, k: int, query_pids: Tensor, query_camids: Tensor,
                   gallery_pids: Tensor, gallery_camids: Tensor,
                   junk: JunkRule = same_identity_and_camera) -> Tensor:
    """As ``nearest``, for distances that come from anywhere."""
    labels = Labels(query_pids, query_camids, gallery_pids, gallery_camids, junk).to(distances)
    return nearest_of(distances, k=k, hide=lambda block, start, stop:
                      block.masked_fill_(labels.masks(start, stop)[0], torch.inf))[0]


def nearest_of(distances: DistanceBlocks, *, k: int,
               hide: Callable[[Tensor, int, int], object]) -> tuple[Tensor, Tensor]:
    """The k nearest that are not hidden, by blocks of rows; equal distances in the order of the gallery.

    Args:
        distances: from anywhere.
        k: length of the lists, at least 1.
        hide: called with the distances [b, N_g] of queries start to stop; sets those of what does not count to
            infinity, in place.

    Returns:
        Gallery indices, int64 [N_q, k] on the CPU, -1 where a list is shorter; their distances, float64, infinite
        there.
    """
    num_queries, num_gallery = distances.shape
    lists = torch.full((num_queries, k), -1), torch.full((num_queries, k), torch.inf, dtype=torch.float64)
    size = rows_per_block(num_gallery, bytes_per_pair=_BYTES_PER_PAIR)
    for start in range(0, num_queries, size):
        stop = min(start + size, num_queries)
        block = distances.block(start, stop)
        hide(block, start, stop)
        values, columns = smallest(block, k)
        lists[0][start:stop, :columns.shape[1]] = columns.masked_fill(values == torch.inf, -1).cpu()
        lists[1][start:stop, :columns.shape[1]] = values.cpu()
    return lists


def smallest(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Values and columns [b, min(k, N)] of the smallest entries of each row [b, N], ascending.

    Equal values are taken and listed by column, lower first, which ``torch.topk`` alone does not promise. Among
    infinite values any may be taken.
    """
    available = distances.shape[1]
    values, columns = distances.topk(min(k + 1, available), largest=False)  # one more, to see a tie at the border
    columns, order = columns.sort(dim=1)
    values, order = values.gather(1, order).sort(dim=1, stable=True)
    columns = columns.gather(1, order)
    if k < available:
        cut = (values[:, k - 1] == values[:, k]) & values[:, k].isfinite()
        if cut.any():
            in_order = distances[cut].sort(dim=1, stable=True)
            values[cut], columns[cut] = in_order.values[:, :k + 1], in_order.indices[:, :k + 1]
    return values[:, :k], columns[:, :k]
