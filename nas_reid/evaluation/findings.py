"""What ``result.json`` says about a retrieval beside its plain metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.retrieval import Retrieval
from nas_reid.evaluation.roc import Roc, roc


def verify(retrieval: Retrieval, *, distance: str) -> Roc:
    """The ROC of the pairs that were ranked; of the first trial, where there are several."""
    query, gallery = retrieval.query, retrieval.gallery
    return roc(feature_distances(query.features, gallery.features, distance=distance), query_pids=query.pids,
               query_camids=query.camids, gallery_pids=gallery.pids, gallery_camids=gallery.camids,
               junk=retrieval.junk)


def findings(retrieval: Retrieval, *, bootstrap: Bootstrap | None, curve: Roc | None = None) -> dict[str, Any]:
    """Intervals of mAP and rank-1, TPR at fixed FPR, and the metrics of every variant and trial.

    Plain values; empty where nothing was asked for and the data set has no trials.

    Args:
        retrieval: what was evaluated.
        bootstrap: how to resample identities, or None.
        curve: of ``verify``, or None.
    """
    result: dict[str, Any] = {}
    of = {"of": f"the first of {retrieval.trial.name}"} if retrieval.trial else {}
    if bootstrap is not None:
        intervals = bootstrap.intervals(retrieval.ranking, retrieval.query.pids)
        result["confidence"] = {**intervals, "level": bootstrap.level, "samples": bootstrap.samples,
                                "over": "identities of the queries", **of}
    if curve is not None:
        result["verification"] = curve.summary() | of
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
