"""How far apart pairs of images are: of the same person, and of different people.

Only known people count: distractors (pid 0) may be anybody, and junk counts as neither. A pair is of a query and a
gallery image, under the rule that the ranking has.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.distance import DISTANCES, FeatureDistances, feature_distances, rows_per_block
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.protocol import JunkRule, Labels, same_identity_and_camera
from nas_reid.evaluation.threshold import Pairs, Threshold, fit
from nas_reid.progress import progress

MOST_PAIRS = 2**20
"""A threshold is fitted to so many pairs at most; of more, queries are left out at random."""
BINS = 512
_BYTES_PER_PAIR = 40


@dataclass(frozen=True)
class PairHistogram:
    """How many pairs lie where.

    Attributes:
        edges: float64 [B + 1], distances, from 0.
        genuine, impostor: int64 [B].
        accepted_genuine, accepted_impostor: of them at most the threshold apart; 0 without one.
    """

    edges: Tensor
    genuine: Tensor
    impostor: Tensor
    accepted_genuine: int = 0
    accepted_impostor: int = 0

    @property
    def observed(self) -> dict[str, float | int]:
        """Shares that the threshold accepts, and numbers of pairs; a share of nothing is NaN."""
        genuine, impostor = int(self.genuine.sum()), int(self.impostor.sum())
        return {"false_positive_rate": self.accepted_impostor / impostor if impostor else float("nan"),
                "true_accepts": self.accepted_genuine / genuine if genuine else float("nan"),
                "genuine_pairs": genuine, "impostor_pairs": impostor}


def known_people(images: Embedded) -> Embedded:
    """The images of people with a pid: neither distractors nor junk."""
    return images[images.pids > 0]


def collect_pairs(query: Embedded, gallery: Embedded, *, distance: str, junk: JunkRule = same_identity_and_camera,
                  most: int = MOST_PAIRS, seed: int = 0) -> Pairs:
    """Every pair of known people.

    Args:
        query, gallery: embeddings and labels.
        distance: a name of ``distance.DISTANCES``.
        junk: which pairs do not count.
        most: pairs of a query and a gallery image; of more, queries are left out at random.
        seed: of that.
    """
    query, gallery = known_people(query), known_people(gallery)
    if (kept := max(1, most // max(1, len(gallery)))) < len(query):
        query = query[torch.from_numpy(np.sort(np.random.default_rng(seed).permutation(len(query))[:kept]))]
    people, numbers = torch.cat([query.pids, gallery.pids]).unique(return_inverse=True)
    of_query, of_gallery = numbers[:len(query)], numbers[len(query):]
    if not len(query) or not len(gallery):
        nothing = np.empty(0, dtype=np.int64)
        return Pairs(nothing.astype(float), nothing, nothing.astype(float), nothing.reshape(0, 2), len(people))
    distances = feature_distances(query.features, gallery.features, distance=distance)
    is_junk, is_match = _labels(query, gallery, junk).to(distances).masks(0, len(query))
    found = distances.block(0, len(query))
    rows, columns = (~is_junk & ~is_match).nonzero(as_tuple=True)
    return Pairs(found[is_match].numpy(), of_query[is_match.nonzero(as_tuple=True)[0]].numpy(),
                 found[rows, columns].numpy(), torch.stack([of_query[rows], of_gallery[columns]], dim=1).numpy(),
                 len(people))


def fit_threshold(query: Embedded, gallery: Embedded, *, rate: float, distance: str, flip: bool, bootstrap: Bootstrap,
                  across: bool = False, junk: JunkRule = same_identity_and_camera) -> Threshold:
    """The threshold for a false-positive rate on held-out people.

    Args:
        query, gallery: of people that the network was not trained on.
        rate: in (0, 1).
        distance: a name of ``distance.DISTANCES``.
        flip: whether the embeddings are means with those of mirror images.
        bootstrap: how to resample people.
        across: whether the queries are infrared and the gallery visible images.
        junk: which pairs do not count.

    Raises:
        DataError: see ``threshold.fit``.
    """
    pairs = collect_pairs(query, gallery, distance=distance, junk=junk, seed=bootstrap.seed)
    return Threshold(**fit(pairs, rate=rate, bootstrap=bootstrap)._asdict(), rate=rate, distance=distance, flip=flip,
                     people=pairs.people, genuine_pairs=len(pairs.genuine), impostor_pairs=len(pairs.impostor),
                     level=bootstrap.level, across=across)


def pair_histogram(query: Embedded, gallery: Embedded, *, distance: str, junk: JunkRule = same_identity_and_camera,
                   threshold: float | None = None, bins: int = BINS,
                   device: torch.device | str = "cpu") -> PairHistogram:
    """Count the pairs by their distance, in blocks.

    Args:
        query, gallery, distance, junk: as of ``collect_pairs``.
        threshold: distance up to which pairs are accepted.
        bins: of equal width from 0 to the largest distance that the features allow.
        device: where it is computed.
    """
    query, gallery = known_people(query), known_people(gallery)
    genuine, impostor = (torch.zeros(bins, dtype=torch.int64) for _ in range(2))
    accepted = [0, 0]
    if not len(query) or not len(gallery):
        return PairHistogram(torch.linspace(0, 1, bins + 1, dtype=torch.float64), genuine, impostor)
    distances = feature_distances(query.features.to(device), gallery.features, distance=distance)
    labels, largest = _labels(query, gallery, junk).to(distances), _largest(distances, distance)
    size = rows_per_block(len(gallery), bytes_per_pair=_BYTES_PER_PAIR)
    for start in progress(range(0, len(query), size), description="pair distances", unit="block"):
        stop = min(start + size, len(query))
        block, (is_junk, is_match) = distances.block(start, stop), labels.masks(start, stop)
        for side, (counts, mask) in enumerate(((genuine, is_match), (impostor, ~is_junk & ~is_match))):
            found = block[mask]
            counts += torch.bincount((found * (bins / largest)).long().clamp_(max=bins - 1), minlength=bins).cpu()
            if threshold is not None:
                accepted[side] += int((found <= threshold).sum())
    return PairHistogram(torch.linspace(0, largest, bins + 1, dtype=torch.float64), genuine, impostor, *accepted)


def _labels(query: Embedded, gallery: Embedded, junk: JunkRule) -> Labels:
    return Labels(query.pids, query.camids, gallery.pids, gallery.camids, junk)


def _largest(distances: FeatureDistances, distance: str) -> float:
    """No two features are farther apart: those of the greatest lengths, if they point in opposite directions."""
    squares = [side.squares.max() for side in (distances.query, distances.gallery)]
    return float(DISTANCES[distance](-(squares[0] * squares[1]).sqrt(), *squares)) or 1.0
