"""What ``result.json`` says about a retrieval beside its plain metrics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.pair_distances import PairHistogram, pair_histogram
from nas_reid.evaluation.retrieval import Retrieval
from nas_reid.evaluation.roc import Roc, roc
from nas_reid.evaluation.threshold import Threshold, choose


@dataclass(frozen=True)
class Decisions:
    """Distances of the pairs of known people, and the threshold that was fitted for them on other people.

    Attributes:
        pairs: of the test; its counts of accepted pairs are those of the threshold.
        distance: name of the distance.
        threshold: of the checkpoint; None if it has none for this distance and these embeddings.
    """

    pairs: PairHistogram
    distance: str
    threshold: Threshold | None

    def summary(self) -> dict[str, Any]:
        """The threshold, the rates that were expected of it and those that were observed; empty without one."""
        if self.threshold is None:
            return {}
        return {**self.threshold.to_plain(), "observed": self.pairs.observed}


def verify(retrieval: Retrieval, *, distance: str) -> Roc:
    """The ROC of the pairs that were ranked; of the first trial, where there are several."""
    query, gallery = retrieval.query, retrieval.gallery
    distances = feature_distances(query.features.to(retrieval.place), gallery.features, distance=distance)
    return roc(distances, query_pids=query.pids, query_camids=query.camids, gallery_pids=gallery.pids,
               gallery_camids=gallery.camids, junk=retrieval.junk)


def decide(retrieval: Retrieval, thresholds: Sequence[Threshold], *, distance: str, flip: bool) -> Decisions:
    """How the threshold for this distance and these embeddings, if there is one, decides on the pairs that were ranked.

    Args:
        retrieval: what was evaluated; of the first trial, where there are several.
        thresholds: of the checkpoint.
        distance, flip: as the retrieval was made.
    """
    threshold = choose(thresholds, distance=distance, flip=flip)
    pairs = pair_histogram(retrieval.query, retrieval.gallery, distance=distance, junk=retrieval.junk,
                           threshold=None if threshold is None else threshold.value, device=retrieval.place)
    return Decisions(pairs, distance, threshold)


def findings(retrieval: Retrieval, *, bootstrap: Bootstrap | None, curve: Roc | None = None,
             decisions: Decisions | None = None) -> dict[str, Any]:
    """Intervals of mAP and rank-1, TPR at fixed FPR, what a threshold accepts, and metrics of variants and trials.

    Plain values; empty where nothing was asked for and the data set has no trials.

    Args:
        retrieval: what was evaluated.
        bootstrap: how to resample identities, or None.
        curve: of ``verify``, or None.
        decisions: of ``decide``, or None.
    """
    result: dict[str, Any] = {}
    of = {"of": f"the first of {retrieval.trial.name}"} if retrieval.trial else {}
    if bootstrap is not None:
        intervals = bootstrap.intervals(retrieval.ranking, retrieval.query.pids)
        result["confidence"] = {**intervals, "level": bootstrap.level, "samples": bootstrap.samples,
                                "over": "identities of the queries", **of}
    if curve is not None:
        result["verification"] = curve.summary() | of
    if decisions is not None and (kept := decisions.summary()):
        result["threshold"] = kept | of
    if retrieval.variants:
        result["variants"] = retrieval.variant_metrics
    if retrieval.trials:
        result["trials"] = dict(retrieval.trials)
    return result


def findings_lines(data: str, found: Mapping[str, Any]) -> Iterator[str]:
    """What a log says of ``findings`` about the data set of this name, beside ``Retrieval.lines``."""
    if "confidence" in found:
        intervals = found["confidence"]
        shown = (f"{name} {intervals[name][0]:.4g} to {intervals[name][1]:.4g}" for name in ("mAP", "rank1"))
        yield f"{data}, {intervals['level']:.0%} interval over identities: " + "  ".join(shown)
    if "verification" in found:
        yield f"{data}, verification: " + "  ".join(f"{name} {value:.4g}" for name, value in
                                                    found["verification"].items() if name.startswith("TPR"))
    if "threshold" in found:
        kept, observed = found["threshold"], found["threshold"]["observed"]
        least, most = kept["expected_interval"]
        yield (f"{data}, threshold {kept['value']:.4g}: accepts {observed['false_positive_rate']:.2%} of the impostor "
               f"pairs, expected {kept['expected']:.2%} [{least:.2%}, {most:.2%}], and "
               f"{observed['true_accepts']:.1%} of the genuine pairs, expected {kept['true_accepts']:.1%}")
