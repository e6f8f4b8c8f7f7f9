"""Query against gallery: extract both, rank, and keep what tables and pictures need."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_reid.data.batches import EvalBatches
from nas_reid.evaluation.features import extract
from nas_reid.evaluation.ranking import Ranking, rank


@dataclass(frozen=True)
class Retrieval:
    """An evaluated pair of lists.

    Args:
        ranking: the metrics.
        query, gallery: embeddings [N_q, D] and [N_g, D].
    """

    ranking: Ranking
    query: Tensor
    gallery: Tensor


def retrieve(network: nn.Module, query: EvalBatches, gallery: EvalBatches, *, distance: str, flip: bool,
             device: torch.device) -> Retrieval:
    """Evaluate a network under the Market-1501 protocol.

    Args:
        network: returns an embedding [B, D] in evaluation mode.
        query, gallery: the two lists.
        distance: ``euclidean`` or ``cosine``.
        flip: average the embeddings of an image and its mirror image.
        device: of the network.

    Raises:
        DataError: no query has a match in the gallery.
    """
    features = [extract(network, batches, flip=flip, device=device) for batches in (query, gallery)]
    ranking = rank(*features, query_pids=query.pids, query_camids=query.camids, gallery_pids=gallery.pids,
                   gallery_camids=gallery.camids, distance=distance)
    return Retrieval(ranking, *features)


def describe_protocol(distance: str, flip: bool) -> dict[str, str | bool]:
    """What a reader must know to compare a number: for every result file."""
    return {"protocol": "market1501: same person in the same camera removed, distractors kept, queries without a "
                        "match skipped", "ap": "mean precision at the matches", "ties": "by gallery index",
            "distance": distance, "flip": flip, "re-ranking": False}
