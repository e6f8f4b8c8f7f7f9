"""Query against gallery: extract both, rank, and keep what tables and pictures need."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from nas_reid.data.batches import EvalBatches
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.features import Embedded, extract, extract_with_maps
from nas_reid.evaluation.protocol import JunkRule, same_identity_and_camera
from nas_reid.evaluation.ranking import Ranking, rank_blocks
from nas_reid.evaluation.single_gallery_shot import single_gallery_shot_cmc
from nas_reid.evaluation.variants import Variant, check_variants

_NONE: Mapping[str, Variant] = {}


@dataclass(frozen=True)
class Retrieval:
    """An evaluated pair of lists.

    Args:
        ranking: the plain metrics.
        query, gallery: embeddings and labels.
        variants: name -> metrics of another way to rank.
    """

    ranking: Ranking
    query: Embedded
    gallery: Embedded
    variants: Mapping[str, Ranking] = field(default_factory=dict)


def retrieve(network: nn.Module, query: EvalBatches, gallery: EvalBatches, *, distance: str, flip: bool,
             device: torch.device, single_gallery_shot: bool = False,
             variants: Mapping[str, Variant] = _NONE) -> Retrieval:
    """Evaluate a network under the Market-1501 protocol.

    Args:
        network: returns an embedding [B, D] in evaluation mode.
        query, gallery: the two lists.
        distance: a name of ``distance.DISTANCES``.
        flip: average the embeddings of an image and its mirror image.
        device: of the network.
        single_gallery_shot: replace the CMC by that of a single gallery shot, in expectation.
        variants: name -> other ways to rank, beside the plain one.

    Raises:
        ConfigError: a variant that does not fit the lists; known before the network runs.
        DataError: no query has a match in the gallery.
    """
    check_variants(variants, num_queries=len(query.pids), num_gallery=len(gallery.pids), distance=distance)
    maps = any(variant.needs_maps for variant in variants.values())
    embedded = [embed(network, batches, flip=flip, device=device, maps=maps) for batches in (query, gallery)]
    return compare(*embedded, distance=distance, single_gallery_shot=single_gallery_shot, variants=variants)


def embed(network: nn.Module, batches: EvalBatches, *, flip: bool, device: torch.device,
          maps: bool = False) -> Embedded:
    """One list through the network; with the trunk's feature maps if ``maps`` is set."""
    options = {"flip": flip, "device": device}
    if maps:
        features, kept = extract_with_maps(network, batches, num_images=len(batches.pids), **options)
        return Embedded(features, batches.pids, batches.camids, kept)
    return Embedded(extract(network, batches, **options), batches.pids, batches.camids)


def compare(query: Embedded, gallery: Embedded, *, distance: str, single_gallery_shot: bool = False,
            variants: Mapping[str, Variant] = _NONE, junk: JunkRule = same_identity_and_camera) -> Retrieval:
    """Rank one list of embeddings for another, plainly and by each variant; arguments as of ``retrieve``."""
    labels = {"query_pids": query.pids, "query_camids": query.camids, "gallery_pids": gallery.pids,
              "gallery_camids": gallery.camids, "junk": junk}
    distances = feature_distances(query.features, gallery.features, distance=distance)
    ranking = rank_blocks(distances, **labels)
    if single_gallery_shot:
        ranking = replace(ranking, cmc=single_gallery_shot_cmc(distances, **labels))
    others = {name: rank_blocks(variant.distances(query, gallery, distance=distance, junk=junk), **labels)
              for name, variant in variants.items()}
    return Retrieval(ranking, query, gallery, others)


def describe_protocol(distance: str, flip: bool, single_gallery_shot: bool = False,
                      variants: Mapping[str, Variant] = _NONE) -> dict[str, Any]:
    """What a reader must know to compare a number: for every result file."""
    beside = {"variants": {name: variant.describe() for name, variant in variants.items()}} if variants else {}
    return {"protocol": "market1501: same person in the same camera removed, distractors kept, queries without a "
                        "match skipped", "ap": "mean precision at the matches",
            "cmc": "single gallery shot, expectation" if single_gallery_shot else "whole gallery",
            "ties": "by gallery index", "distance": distance, "flip": flip, "re-ranking": False, **beside}
