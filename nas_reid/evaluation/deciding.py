"""The thresholds that a trained network gets: fitted on held-out people, for each way in which it may be used."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Required, TypedDict, Unpack

import torch
from torch import Tensor, nn

from nas_reid.data.resident import EvalImages
from nas_reid.data.trial import Trial
from nas_reid.errors import DataError
from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.pair_distances import MOST_PAIRS, fit_threshold
from nas_reid.evaluation.protocol import JUNK_RULES
from nas_reid.evaluation.retrieval import embed
from nas_reid.evaluation.threshold import Threshold, choose, require_pairs
from nas_reid.network.checkpoint import load_checkpoint, save_checkpoint
from nas_reid.parallel.processes import is_main

USUAL_RATE = 0.01
"""What ``auto`` asks for."""
DEPLOYED = ("euclidean", "cosine")
"""Distances that a network is used with, whatever it was evaluated with: trackers compare by the cosine."""

log = logging.getLogger(__name__)


def rate_for(asked: float | str | None, query_pids: Tensor, gallery_pids: Tensor) -> float | None:
    """The false-positive rate to fit a threshold for, or None for no threshold.

    Args:
        asked: a rate; ``auto`` for ``USUAL_RATE`` where there are pairs enough; None for none.
        query_pids, gallery_pids: of the held-out people.

    Raises:
        DataError: a rate was asked for that so few pairs cannot show; see ``require_pairs``.
    """
    if asked is None:
        return None
    known = [side[side > 0] for side in (query_pids, gallery_pids)]
    people, numbers = torch.cat(known).unique(return_inverse=True)
    queries, images = (side.bincount(minlength=len(people)) for side in numbers.split([len(side) for side in known]))
    impostors = len(known[0]) * len(known[1]) - int(queries @ images)
    rate = USUAL_RATE if asked == "auto" else float(asked)
    try:
        require_pairs(rate, people=len(people), impostors=min(impostors, MOST_PAIRS))
    except DataError as error:
        if asked != "auto":
            raise
        log.info("no threshold will be fitted: %s", str(error).partition(": hold out")[0])
        return None
    return rate


class Fitting(TypedDict, total=False):
    """Keyword arguments of ``fit_thresholds``."""

    rate: Required[float]
    distance: Required[str]
    bootstrap: Required[Bootstrap]
    device: Required[torch.device]


def keep_thresholds(checkpoint: Path, network: nn.Module, query: EvalImages, gallery: EvalImages,
                    trials: Sequence[Trial] = (), *, flip: bool, **fitting: Unpack[Fitting]) -> list[Threshold]:
    """Fit the thresholds of a checkpoint's network and add them to the checkpoint.

    Args:
        checkpoint: is written anew, whole or not at all.
        network, query, gallery, trials, fitting: as of ``fit_thresholds``, which see for the errors.
        flip: how the network is evaluated; that threshold is logged.
    """
    thresholds = fit_thresholds(network, query, gallery, trials, **fitting)
    if is_main():
        state = load_checkpoint(checkpoint)
        save_checkpoint(checkpoint, state | {"thresholds": [threshold.to_plain() for threshold in thresholds]},
                        config=state["config"])
    if usual := choose(thresholds, distance=fitting["distance"], flip=flip):
        log.info("%s", usual.line())
    return thresholds


def fit_thresholds(network: nn.Module, query: EvalImages, gallery: EvalImages, trials: Sequence[Trial] = (), *,
                   rate: float, distance: str, bootstrap: Bootstrap, device: torch.device) -> list[Threshold]:
    """Thresholds for ``distance`` and ``DEPLOYED``, each of plain embeddings and of means with mirror images.

    Args:
        network: returns an embedding [B, D] in evaluation mode.
        query, gallery: people that it was not trained on.
        trials: of the lists, whose first says which pairs do not count.
        rate: the false-positive rate.
        distance: that the network is evaluated with.
        bootstrap: how to resample people.
        device: of the network.

    Raises:
        DataError: see ``threshold.fit``.
    """
    across = bool(query.modalities.all()) and not bool(gallery.modalities.any())
    junk = JUNK_RULES[trials[0].junk if trials else "same_camera"]
    thresholds = []
    for flip in (False, True):
        lists = [embed(network, images, flip=flip, device=device)
                 for images in ((query,) if gallery is query else (query, gallery))]
        thresholds += [fit_threshold(lists[0], lists[-1], rate=rate, distance=name, flip=flip, across=across,
                                     junk=junk, bootstrap=bootstrap)
                       for name in dict.fromkeys((distance, *DEPLOYED))]
    return thresholds
