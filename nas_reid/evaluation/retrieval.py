"""Query against gallery: extract both, rank, and keep what tables and pictures need."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Required, TypedDict, Unpack

import torch
from torch import Tensor, nn

from nas_reid.data.resident import EvalImages
from nas_reid.data.trial import Trial
from nas_reid.evaluation.distance import DistanceBlocks, feature_distances
from nas_reid.evaluation.features import Embedded, extract, extract_with_maps
from nas_reid.evaluation.identity_cmc import identity_cmc
from nas_reid.evaluation.placing import BLOCKS, feature_bytes, place_for
from nas_reid.evaluation.protocol import JUNK_RULES, JunkRule
from nas_reid.evaluation.ranking import Ranking, rank_blocks
from nas_reid.evaluation.single_gallery_shot import single_gallery_shot_cmc
from nas_reid.evaluation.trials import cut, describe_trials, headline, sizes, summarize_trials
from nas_reid.evaluation.variants import Variant, check_variants
from nas_reid.parallel.processes import world
from nas_reid.parallel.turns import from_main

_NONE: Mapping[str, Variant] = {}
_CPU = torch.device("cpu")
_NOBODY = Embedded(torch.empty(0, 0), torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64))


class Options(TypedDict, total=False):
    """How lists are compared, as keyword arguments of ``compare``."""

    distance: Required[str]
    single_gallery_shot: bool
    variants: Mapping[str, Variant]
    device: torch.device | str


class _Labels(TypedDict):
    query_pids: Tensor
    query_camids: Tensor
    gallery_pids: Tensor
    gallery_camids: Tensor
    junk: JunkRule


@dataclass(frozen=True)
class Retrieval:
    """An evaluated pair of lists.

    Args:
        ranking: the plain metrics per query; of the first trial, where there are several.
        query, gallery: embeddings and labels of what ``ranking`` is about.
        variants: name -> metrics of another way to rank.
        trial: which of the lists' images these are; None for all.
        trials: name -> means and standard deviations over the trials of that name; empty without trials. Those of a
            variant are under "<name>, <variant>".
        place: where the plain ranking was computed, and pairs can be counted.
    """

    ranking: Ranking
    query: Embedded
    gallery: Embedded
    variants: Mapping[str, Ranking] = field(default_factory=dict)
    trial: Trial | None = None
    trials: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    place: torch.device = _CPU

    @property
    def junk(self) -> JunkRule:
        """The rule under which ``ranking`` was made."""
        return JUNK_RULES[self.trial.junk if self.trial else "same_camera"]

    @property
    def metrics(self) -> dict[str, float]:
        """The headline: ``ranking.summary()``, or the means of the first name's trials."""
        return headline(self.trials, self.trial.name) if self.trial else self.ranking.summary()

    @property
    def variant_metrics(self) -> dict[str, dict[str, float]]:
        """Variant -> what ``metrics`` is for the plain ranking."""
        return {name: headline(self.trials, f"{self.trial.name}, {name}") if self.trial else ranking.summary()
                for name, ranking in self.variants.items()}

    def lines(self, data: str) -> Iterator[str]:
        """What a log says about the data set of this name: a line, or one for each name of trials."""
        for name, values in (self.trials or {"": self.metrics, **self.variant_metrics}).items():
            shown = (f"{key} {value:.4g}" + (f" ± {values[f'{key}_std']:.2g}" if f"{key}_std" in values else "")
                     for key, value in values.items() if not key.endswith("_std"))
            yield f"{data} {name}".rstrip() + ": " + "  ".join(shown)


def retrieve(network: nn.Module, query: EvalImages, gallery: EvalImages, trials: Sequence[Trial] = (), *,
             distance: str, flip: bool, device: torch.device, single_gallery_shot: bool = False,
             variants: Mapping[str, Variant] = _NONE) -> Retrieval:
    """Evaluate a network under the Market-1501 protocol, or under that of the data set's trials.

    Of several processes each embeds a part of the images; the first ranks, and all have what it found.

    Args:
        network: returns an embedding [B, D] in evaluation mode.
        query, gallery: the two lists; where they are one object, its images are embedded once.
        trials: over the two lists; none: all of the one against all of the other.
        distance: a name of ``distance.DISTANCES``.
        flip: average the embeddings of an image and its mirror image.
        device: of the network.
        single_gallery_shot: replace the CMC by that of a single gallery shot, in expectation.
        variants: name -> other ways to rank, beside the plain one.

    Raises:
        ConfigError: a variant that does not fit the lists; known before the network runs.
        DataError: no query has a match in the gallery.
    """
    for _, num_gallery in sizes(trials, len(query.pids), len(gallery.pids)):
        check_variants(variants, distance=distance, num_gallery=num_gallery)
    maps = any(variant.needs_maps for variant in variants.values())
    lists = [embed(network, batches, flip=flip, device=device, maps=maps)
             for batches in ((query,) if gallery is query else (query, gallery))]
    options: Options = {"distance": distance, "single_gallery_shot": single_gallery_shot, "variants": variants,
                        "device": device}

    def rank() -> Retrieval:
        """Rank the embedded lists, whole or by trial."""
        if not trials:
            return compare(lists[0], lists[-1], **options)
        return compare_trials(lists[0], lists[-1], trials, **options)

    if world() == 1:
        return rank()
    found = from_main(lambda: replace(rank(), query=_NOBODY, gallery=_NOBODY))  # all have the embeddings
    kept = cut(found.trial, lists[0], lists[-1]) if found.trial else (lists[0], lists[-1])
    return replace(found, query=kept[0], gallery=kept[1])


def embed(network: nn.Module, batches: EvalImages, *, flip: bool, device: torch.device,
          maps: bool = False) -> Embedded:
    """One list through the network; with the trunk's feature maps if ``maps`` is set."""
    if maps:
        features, kept = extract_with_maps(network, batches, num_images=len(batches.pids), flip=flip, device=device)
        return Embedded(features, batches.pids, batches.camids, kept)
    return Embedded(extract(network, batches, flip=flip, device=device), batches.pids, batches.camids)


def compare_trials(query: Embedded, gallery: Embedded, trials: Sequence[Trial],
                   **options: Unpack[Options]) -> Retrieval:
    """``compare`` each trial over the two lists; what is kept beside the metrics is of the first."""
    first: Retrieval | None = None
    names, metrics = [], []
    for trial in trials:
        retrieval = compare(*cut(trial, query, gallery), junk=trial.junk, cmc=trial.cmc, **options)
        first = first or replace(retrieval, trial=trial)
        for name, ranking in {trial.name: retrieval.ranking, **{f"{trial.name}, {variant}": ranking for variant, ranking
                                                                in retrieval.variants.items()}}.items():
            names.append(name)
            metrics.append(ranking.summary())
    if first is None:
        raise ValueError("there is no trial to compare; `compare` ranks the whole lists")
    return replace(first, trials=summarize_trials(names, metrics))


def compare(query: Embedded, gallery: Embedded, *, distance: str, single_gallery_shot: bool = False,
            variants: Mapping[str, Variant] = _NONE, junk: str = "same_camera", cmc: str = "images",
            device: torch.device | str = "cpu") -> Retrieval:
    """Rank one list of embeddings for another, plainly and by each variant.

    Args:
        query, gallery: the two lists.
        distance, single_gallery_shot, variants: as of ``retrieve``.
        junk, cmc: as of ``Trial``.
        device: where the rankings are computed, each if it fits there, else on the CPU.
    """
    rule = JUNK_RULES[junk]
    labels: _Labels = {"query_pids": query.pids, "query_camids": query.camids, "gallery_pids": gallery.pids,
                       "gallery_camids": gallery.camids, "junk": rule}

    def ranked(distances: DistanceBlocks, *, single_shot: bool) -> Ranking:
        """A ranking with the CMC that was asked for."""
        ranking = rank_blocks(distances, **labels)
        if single_shot:
            return replace(ranking, cmc=single_gallery_shot_cmc(distances, **labels))
        return replace(ranking, cmc=identity_cmc(distances, **labels)) if cmc == "identities" else ranking

    place = place_for(feature_bytes(query, gallery, copies=2) + BLOCKS, device, what="ranking")
    plain = ranked(feature_distances(query.features.to(place), gallery.features, distance=distance),
                   single_shot=single_gallery_shot)
    others = {}
    for name, variant in variants.items():
        there = place_for(variant.memory(query, gallery), device, what=f"evaluation.{name}")
        others[name] = ranked(variant.distances(query.to(there), gallery.to(there), distance=distance, junk=rule),
                              single_shot=False)
    return Retrieval(plain, query, gallery, others, place=place)


def describe_protocol(distance: str, flip: bool, single_gallery_shot: bool = False,
                      variants: Mapping[str, Variant] = _NONE,
                      trials: Mapping[str, Sequence[Trial]] | None = None) -> dict[str, Any]:
    """What a reader must know to compare a number: for every result file.

    Args:
        distance, flip, single_gallery_shot, variants: as in ``retrieve``.
        trials: data set -> its trials, if it has any.
    """
    listed = {name: describe_trials(own) for name, own in (trials or {}).items() if own}
    usual = "market1501: same person in the same camera removed"
    beside = {"variants": {name: variant.describe() for name, variant in variants.items()}} if variants else {}
    return {"protocol": f"{usual}{', or as trials say' if listed else ''}, distractors kept, queries without a match "
                        "skipped", "ap": "mean precision at the matches",
            "cmc": ("single gallery shot, expectation" if single_gallery_shot else
                    "whole gallery, of images or identities as trials say" if listed else "whole gallery"),
            "ties": "by gallery index", "distance": distance, "flip": flip, "re-ranking": False, **beside,
            **({"trials": listed} if listed else {})}
