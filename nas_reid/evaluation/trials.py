"""A protocol of several galleries: every trial ranked from the same embeddings, means and spreads over equal names."""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import torch

from nas_reid.data.trial import Trial
from nas_reid.evaluation.features import Embedded

Metrics = Mapping[str, float]


def cut(trial: Trial, query: Embedded, gallery: Embedded) -> tuple[Embedded, Embedded]:
    """The queries and the gallery of a trial, from the lists that its positions are in."""
    return query[torch.tensor(trial.query)], gallery[torch.tensor(trial.gallery)]


def sizes(trials: Sequence[Trial], num_queries: int, num_gallery: int) -> set[tuple[int, int]]:
    """Numbers of queries and of gallery images that are compared: of all images where there are no trials."""
    return {(len(trial.query), len(trial.gallery)) for trial in trials} or {(num_queries, num_gallery)}


def summarize_trials(names: Sequence[str], metrics: Sequence[Metrics]) -> dict[str, dict[str, float]]:
    """Name -> the mean of every metric over the trials of that name, in the order of the names' first trials.

    With several trials of a name there is also ``<metric>_std``, that of a sample (n - 1); ``num_trials`` in any case.

    Args:
        names: of what was ranked.
        metrics: of each, fractions and counts.
    """
    groups: dict[str, list[Metrics]] = {}
    for name, values in zip(names, metrics, strict=True):
        groups.setdefault(name, []).append(values)
    return {name: dict(_summary(group)) for name, group in groups.items()}


def headline(summaries: Mapping[str, Metrics], name: str) -> dict[str, float]:
    """The means of one name alone, under the keys that a single ranking has."""
    return {key: value for key, value in summaries[name].items() if not key.endswith("_std") and key != "num_trials"}


def describe_trials(trials: Sequence[Trial]) -> dict[str, dict[str, str | int]]:
    """Name -> how many trials, of how many queries against how large a gallery, under which rules."""
    counts = Counter(trial.name for trial in trials)
    described: dict[str, dict[str, str | int]] = {}
    for trial in trials:
        described.setdefault(trial.name, {"trials": counts[trial.name], "queries": len(trial.query),
                                          "gallery": len(trial.gallery), "junk": trial.junk, "cmc": trial.cmc})
    return described


def _summary(group: Sequence[Metrics]) -> Iterator[tuple[str, float]]:
    yield "num_trials", len(group)
    for key in group[0]:
        values = [metrics[key] for metrics in group]
        same = all(value == values[0] for value in values)
        yield key, values[0] if same else statistics.fmean(values)
        if len(group) > 1 and not key.startswith("num_"):
            yield f"{key}_std", 0.0 if same else statistics.stdev(values)
