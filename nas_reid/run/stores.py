"""The decoded images of all data sets that a training reads, and what is refused before they are decoded."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from nas_reid.config.groups import DataConfig
from nas_reid.config.schemas import RetrainConfig
from nas_reid.data.merging import merge_training
from nas_reid.data.source import RetrievalStores, open_source
from nas_reid.data.store import ImageStore
from nas_reid.network.streams import warn_of_a_single_modality
from nas_reid.run.further_data import open_further


class Stores(NamedTuple):
    """The decoded images of all data sets.

    Attributes:
        train: of the source, or of all sources.
        validation: query and gallery of ``validation_data``; None without.
        test: name -> query and gallery: of the source if it has any, then of the targets.
        validation_pids: training identities that a data set's authors meant for validation.
    """

    train: ImageStore
    validation: RetrievalStores | None
    test: Mapping[str, RetrievalStores]
    validation_pids: frozenset[int]


def open_stores(settings: RetrainConfig, further: Mapping[str, Mapping[str, DataConfig]], trunk: nn.Module,
                folder: Path | None = None) -> Stores:
    """Read the lists of every data set, then decode what the cache does not hold.

    Args:
        settings: of the run.
        further: ``sources``, ``targets`` and ``validation_data`` -> name -> settings.
        trunk: that will see the images.
        folder: of the run, for splits that have to be made.
    """
    options: dict[str, Any] = {"protocol": settings.evaluation.protocol, "folder": folder}
    source = open_source(settings.data, **options)
    sources, targets, validation = (open_further(key, group, **options) for key, group in further.items())
    together = merge_training([source.dataset, *(other.dataset for other in sources.values())])
    if source.dataset.query or not targets:
        targets = {settings.data.name: source, **targets}
    for evaluated in (*targets.values(), *validation.values()):
        evaluated.require_test_lists()  # before any image is decoded
    train = replace(source, dataset=together).store(together.train)
    warn_of_a_single_modality(trunk, train.modalities, data=together.name)
    return Stores(train,
                  next((other.test_stores() for other in validation.values()), None),
                  {name: target.test_stores() for name, target in targets.items()}, together.validation_pids)
