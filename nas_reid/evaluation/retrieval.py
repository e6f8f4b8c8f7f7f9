"""Query against gallery: extract both, rank, and keep what tables and pictures need."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nas_reid.data.batches import EvalBatches
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.features import extract
from nas_reid.evaluation.ranking import Ranking, rank
from nas_reid.evaluation.single_gallery_shot import single_gallery_shot_cmc


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
             device: torch.device, single_gallery_shot: bool = False) -> Retrieval:
    """Evaluate a network under the Market-1501 protocol.

    Args:
        network: returns an embedding [B, D] in evaluation mode.
        query, gallery: the two lists.
        distance: ``euclidean`` or ``cosine``.
        flip: average the embeddings of an image and its mirror image.
        device: of the network.
        single_gallery_shot: replace the CMC by that of a single gallery shot, in expectation.

    Raises:
        DataError: no query has a match in the gallery.
    """
    features = [extract(network, batches, flip=flip, device=device) for batches in (query, gallery)]
    labels = {"query_pids": query.pids, "query_camids": query.camids, "gallery_pids": gallery.pids,
              "gallery_camids": gallery.camids}
    ranking = rank(*features, **labels, distance=distance)
    if single_gallery_shot:
        distances = feature_distances(*features, distance=distance)
        ranking = replace(ranking, cmc=single_gallery_shot_cmc(distances, **labels))
    return Retrieval(ranking, *features)


def describe_protocol(distance: str, flip: bool, single_gallery_shot: bool = False) -> dict[str, str | bool]:
    """What a reader must know to compare a number: for every result file."""
    return {"protocol": "market1501: same person in the same camera removed, distractors kept, queries without a "
                        "match skipped", "ap": "mean precision at the matches",
            "cmc": "single gallery shot, expectation" if single_gallery_shot else "whole gallery",
            "ties": "by gallery index", "distance": distance, "flip": flip, "re-ranking": False}
