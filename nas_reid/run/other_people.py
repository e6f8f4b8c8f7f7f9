"""People of other data sets, to choose genotypes by in place of those whom the search held out."""

import logging
from dataclasses import replace
from typing import Any

import torch

from nas_reid.config.schemas import SearchConfig
from nas_reid.data.batches import EvalBatches
from nas_reid.data.source import retrieval_lists
from nas_reid.errors import ConfigError
from nas_reid.run.further_data import further_data, open_further

log = logging.getLogger("nas_reid.select")


def other_people(named: Any, most: int, search: SearchConfig, device: torch.device,
                 ) -> list[tuple[EvalBatches, EvalBatches]]:
    """Query and gallery of the first ``most`` identities that are asked for in each data set, without distractors.

    Args:
        named: their names, or a mapping of these to changes (``further_data``); None or empty: there are none.
        most: so many people of each at most.
        search: whose image size and protocol hold.
        device: where the images go.

    Raises:
        ConfigError: see ``further_data``; a data set has galleries of its own for each of several trials.
        DataError: it has no query or no gallery.
    """
    further, found = further_data("validation_data", named, search.data, several=True), []
    for name, source in open_further("validation_data", further, protocol=search.evaluation.protocol).items():
        if source.dataset.trials:
            raise ConfigError(f"validation_data={name} has {len(source.dataset.trials)} trials, each with a gallery of "
                              "its own, and a genotype is chosen by one; leave it out, or name other data")
        source.require_test_lists()
        people = set(sorted({sample.pid for sample in source.dataset.query})[:most])
        query, gallery = (tuple(sample for sample in part if sample.pid in people)
                          for part in (source.dataset.query, source.dataset.gallery))
        log.info("judged by: %d people of %s, in %d queries and %d gallery images", len(people), name, len(query),
                 len(gallery))
        cut = replace(source, dataset=replace(source.dataset, query=query, gallery=gallery))
        lists = retrieval_lists(cut.test_stores(), batch_size=search.evaluation.batch_size, device=device)
        found.append((lists.query, lists.gallery))
    return found
