"""What ``result.json`` says about a retrieval beside its plain metrics."""

from typing import Any

from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.retrieval import Retrieval


def findings(retrieval: Retrieval, *, bootstrap: Bootstrap | None) -> dict[str, Any]:
    """Intervals of mAP and rank-1, and the metrics of every variant and trial.

    Plain values; empty where nothing was asked for and the data set has no trials.

    Args:
        retrieval: what was evaluated.
        bootstrap: how to resample identities, or None.
    """
    result: dict[str, Any] = {}
    if bootstrap is not None:
        result["confidence"] = {**bootstrap.intervals(retrieval.ranking, retrieval.query.pids), "level":
                                bootstrap.level, "samples": bootstrap.samples, "over": "identities of the queries"}
        if retrieval.trial:
            result["confidence"]["of"] = f"the first of {retrieval.trial.name}"
    if retrieval.variants:
        result["variants"] = retrieval.variant_metrics
    if retrieval.trials:
        result["trials"] = dict(retrieval.trials)
    return result
