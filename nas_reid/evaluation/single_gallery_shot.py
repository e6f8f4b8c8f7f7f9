"""The CMC of a single gallery shot, of CUHK03's classic protocol (Li et al., DeepReID, CVPR 2014).

For every query one image of each person is drawn from what its gallery holds without junk, and the match is looked for
among these. Publications average a few such draws; here the default is what they estimate, the exact expectation. AP
and INP are not affected: by habit they are of the whole gallery.
"""

import torch
from torch import Tensor

from nas_reid.errors import DataError
from nas_reid.evaluation.distance import DistanceBlocks, rows_per_block
from nas_reid.evaluation.protocol import JunkRule, Labels, same_identity_and_camera
from nas_reid.progress import progress

_BYTES_PER_PAIR = 24


def single_gallery_shot_cmc(distances: DistanceBlocks, *, query_pids: Tensor, query_camids: Tensor,
                            gallery_pids: Tensor, gallery_camids: Tensor, max_rank: int = 50,
                            junk: JunkRule = same_identity_and_camera, draws: int | None = None,
                            seed: int = 0) -> Tensor:
    """CMC [R] in float64; R is ``max_rank``, or the number of people in the gallery where that is smaller.

    Args:
        distances: [N_q, N_g]; equal ones rank by gallery index.
        query_pids, query_camids: [N_q].
        gallery_pids, gallery_camids: [N_g]; images of pid -1 never count, those of pid 0 count as one person.
        max_rank: length of the CMC.
        junk: which gallery images do not count for a query.
        draws: number of draws per query, to compare with a publication; None for the expectation.
        seed: of the draws.

    Raises:
        DataError: lengths differ, or no query has a match.
    """
    labels = Labels(query_pids, query_camids, gallery_pids, gallery_camids, junk).to(distances)
    person = gallery_pids.cpu().unique(return_inverse=True)[1]
    length = min(max_rank, len(gallery_pids[gallery_pids != -1].unique()))
    generator = torch.Generator().manual_seed(seed)
    curves = []
    size = rows_per_block(distances.shape[1], bytes_per_pair=_BYTES_PER_PAIR)
    for start in progress(range(0, distances.shape[0], size), description="single shot", unit="block"):
        stop = min(start + size, distances.shape[0])
        block = (distances.block(start, stop).cpu(), *(mask.cpu() for mask in labels.masks(start, stop)))
        for row, is_junk, is_match in zip(*block, strict=True):
            keys = None if draws is None else torch.rand(draws, len(row), generator=generator, dtype=torch.double)
            if not is_match.any():
                continue
            order = row.argsort(stable=True)
            order = order[~is_junk[order]]
            curves.append(_expectation(person[order], is_match[order], length) if keys is None else
                          _mean_of_draws(person[order], is_match[order], keys[:, order], length))
    if not curves:
        raise DataError(labels.why_no_match())
    return torch.stack(curves).mean(dim=0)


def _expectation(person: Tensor, is_match: Tensor, length: int) -> Tensor:
    """Probability [length] that the query's match is among the first k.

    Given which of the P matches is drawn, every other person is closer independently, with the share of its images
    that are closer; the number of people who are closer then has a Poisson binomial distribution.

    Args:
        person: [n] indices of the people in the ranked list.
        is_match: bool [n].
        length: of the curve.
    """
    images = torch.nn.functional.one_hot(person).double()                    # [n, people]
    closer = images.cumsum(dim=0)[is_match] / images.sum(dim=0).clamp(min=1)  # [P, people]
    closer[:, person[is_match]] = 0
    count = torch.zeros(len(closer), length, dtype=torch.float64)            # probability of 0, 1, ... closer people
    count[:, 0] = 1
    for chance in closer.T[closer.any(dim=0), :, None]:
        one_more = torch.nn.functional.pad(count[:, :-1], (1, 0))
        count = count * (1 - chance) + one_more * chance
    return count.cumsum(dim=1).mean(dim=0)


def _mean_of_draws(person: Tensor, is_match: Tensor, keys: Tensor, length: int) -> Tensor:
    """As ``_expectation``, over draws: of every person the image with the largest key [draws, n] is taken."""
    largest = keys.new_full((len(keys), int(person.max()) + 1), -1.0)
    largest.scatter_reduce_(1, person.expand_as(keys), keys, "amax")
    drawn = keys == largest[:, person]
    rank = drawn.cumsum(dim=1)[drawn & is_match]                             # one match in every draw
    return (rank[:, None] <= torch.arange(1, length + 1)).double().mean(dim=0)
