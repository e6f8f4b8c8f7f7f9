"""The CMC over people instead of images, of SYSU-MM01's protocol (Wu et al., ICCV 2017) and LLCM's.

Of everybody in a query's ranked list only the first image counts, after junk has been removed. The rank of the match
is hence one plus the number of other people with an image that is closer. AP and INP stay over images.
"""

import torch
from torch import Tensor

from nas_reid.errors import DataError
from nas_reid.evaluation.distance import DistanceBlocks, rows_per_block
from nas_reid.evaluation.protocol import JunkRule, Labels, same_identity_and_camera

_BYTES_PER_PAIR = 32


def identity_cmc(distances: DistanceBlocks, *, query_pids: Tensor, query_camids: Tensor, gallery_pids: Tensor,
                 gallery_camids: Tensor, max_rank: int = 50, junk: JunkRule = same_identity_and_camera) -> Tensor:
    """CMC [R] in float64; R is ``max_rank``, or the number of people in the gallery where that is smaller.

    Args:
        distances: [N_q, N_g]; equal ones rank by gallery index.
        query_pids, query_camids: [N_q].
        gallery_pids, gallery_camids: [N_g]; images of pid -1 never count, those of pid 0 count as one person.
        max_rank: length of the CMC.
        junk: which gallery images do not count for a query.

    Raises:
        DataError: lengths differ, or no query has a match.
    """
    labels = Labels(query_pids, query_camids, gallery_pids, gallery_camids, junk).to(distances)
    people, person = labels.gallery_pids.unique(return_inverse=True)
    columns = torch.arange(distances.shape[1], device=person.device)
    ranks = []
    size = rows_per_block(distances.shape[1], bytes_per_pair=_BYTES_PER_PAIR)
    for start in range(0, distances.shape[0], size):
        stop = min(start + size, distances.shape[0])
        block = distances.block(start, stop)
        is_junk, is_match = labels.masks(start, stop)
        matches = block.masked_fill(~is_match, torch.inf)
        nearest = matches.amin(dim=1, keepdim=True)
        first = (is_match & (matches == nearest)).int().argmax(dim=1, keepdim=True)  # the lowest index among ties
        closer = ((block < nearest) | ((block == nearest) & (columns < first))) & ~is_junk
        met = torch.zeros(len(block), len(people), dtype=torch.uint8, device=person.device)
        met.scatter_reduce_(1, person.expand_as(closer), closer.byte(), "amax")
        ranks.append((1 + met.sum(dim=1))[is_match.any(dim=1)].cpu())
    rank = torch.cat(ranks)
    if not len(rank):
        raise DataError(labels.why_no_match())
    length = min(max_rank, len(people) - int((people == -1).any()))
    return (rank[:, None] <= torch.arange(1, length + 1)).double().mean(dim=0)
