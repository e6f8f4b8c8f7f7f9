"""The images of a search: for the weights, for the alphas, and to validate the supernet on."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from nas_reid.config.schemas import SearchConfig
from nas_reid.data.augment import build_augment
from nas_reid.data.batches import EvalBatches, TrainBatches
from nas_reid.data.sample import Sample, label_map
from nas_reid.data.source import DataSource, held_out_lists, open_source, training_batches
from nas_reid.data.splits import hold_out, split_search
from nas_reid.data.store import ImageStore
from nas_reid.run.further_data import further_data, open_further
from nas_reid.seed import derive_seed

log = logging.getLogger("nas_reid.search")

Part = tuple[ImageStore, list[Sample], Mapping[int, int]]
"""A store, the images of it to draw from, and the class of each of their identities."""


def load_data(settings: SearchConfig, device: torch.device, folder: Path | None = None,
              ) -> tuple[list[TrainBatches], tuple[EvalBatches, EvalBatches], int]:
    """Batches for the weights and for the alphas, validation query and gallery, and the number of identities.

    A scheme of one level (``joint``, ``one_shot``) has all images for both, and one source of batches. ``folder`` is
    that of the run, for splits that have to be made.

    Raises:
        ConfigError, DataError: see ``further_data``, ``open_source`` and ``hold_out``; all lists are read before images
            are decoded.
    """
    augment = build_augment(settings.augment)
    further = further_data("alphas_data", settings.alphas_data, settings.data)
    others = open_further("alphas_data", further, protocol=settings.evaluation.protocol)
    source = open_source(settings.data, protocol=settings.evaluation.protocol, folder=folder)
    store, official = source.train_store(), source.dataset.validation_pids
    train, query, gallery = hold_out(store.samples, by=settings.validation_by, fraction=settings.validation_fraction,
                                     seed=settings.people_seed, official=official)
    parts = _parts(settings, source, store, train, list(others.values()))
    batches = [training_batches(store, samples, augment, labels=labels, identities=settings.batch.identities,
                                instances=settings.batch.instances, seed=derive_seed(settings.seed, level),
                                device=device, sampler=settings.batch.sampler)
               for level, (store, samples, labels) in parts.items()]
    queries, galleries, _ = held_out_lists(store, query, gallery, batch_size=settings.evaluation.batch_size,
                                           device=device)
    num_classes = len(next(iter(parts.values()))[2])
    log.info("search data: %d identities, %s; validation: %d queries, %d gallery", num_classes,
             ", ".join(f"{len(part[1])} images for {level}" for level, part in parts.items()), len(query), len(gallery))
    return batches, (queries, galleries), num_classes


def _parts(settings: SearchConfig, source: DataSource, store: ImageStore, train: list[Sample],
           others: Sequence[DataSource]) -> dict[str, Part]:
    """What each level learns from: all of ``train``, a half each, or of the alphas another data set."""
    if settings.algorithm.has_one_level:
        return {"weights and alphas": (store, train, label_map(train))}
    for other in others:
        images = other.train_store()
        return {"weights": (store, train, label_map(train)),
                "alphas": (images, list(images.samples), label_map(images.samples))}
    official = source.dataset.validation_pids
    if settings.validation_by == settings.split.by == "official":
        train = list(store.samples)  # the supernet is validated on the alphas' identities
    halves = split_search(train, by=settings.split.by, fraction=settings.split.weights_fraction,
                          seed=derive_seed(settings.seed, "split"), official=official)
    labels = label_map(train)
    return {level: (store, half, labels) for level, half in zip(("weights", "alphas"), halves, strict=True)}
