"""Several galleries from one extraction: means, spreads, and what is kept of them."""

import statistics
from types import SimpleNamespace

import pytest
import torch

from nas_reid.data.trial import Trial
from nas_reid.errors import DataError
from nas_reid.evaluation import retrieval
from nas_reid.evaluation.bootstrap import Bootstrap
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.findings import findings
from nas_reid.evaluation.protocol import JUNK_RULES
from nas_reid.evaluation.retrieval import compare, describe_protocol, retrieve
from nas_reid.evaluation.trials import describe_trials, headline, summarize_trials

OPTIONS = {"distance": "euclidean", "flip": False, "device": torch.device("cpu")}


@pytest.fixture
def extracted(monkeypatch):
    """Features instead of a network; the list records what was extracted."""
    calls = []

    def extract(_, batches, **__):
        calls.append(batches)
        return batches.features

    monkeypatch.setattr(retrieval, "extract", extract)
    return calls


def images(count: int, camid: int, seed: int) -> SimpleNamespace:
    generator = torch.Generator().manual_seed(seed)
    return SimpleNamespace(features=torch.randn(count, 4, generator=generator), pids=torch.arange(count) % 5 + 1,
                           camids=torch.full((count,), camid))


def subset(side: SimpleNamespace, rows) -> Embedded:
    return Embedded(side.features[list(rows)], side.pids[list(rows)], side.camids[list(rows)])


def test_means_and_spreads_over_trials_of_one_name(extracted):
    query, gallery = images(7, 0, 1), images(40, 1, 2)
    trials = [Trial("one", (0, 2, 4), range(k, 20 + k), cmc="identities") for k in range(4)]
    trials.insert(1, Trial("other", (1, 2), range(40), junk="same_room"))
    result = retrieve(None, query, gallery, trials, **OPTIONS)
    assert extracted == [query, gallery]
    alone = [compare(subset(query, t.query), subset(gallery, t.gallery), distance="euclidean", junk=t.junk,
                        cmc=t.cmc).ranking.summary() for t in trials]
    ones = [alone[k] for k in (0, 2, 3, 4)]
    assert list(result.trials) == ["one", "other"]
    for key in ("mAP", "mINP", "rank1"):
        values = [summary[key] for summary in ones]
        assert result.trials["one"][key] == pytest.approx(statistics.fmean(values))
        assert result.trials["one"][f"{key}_std"] == pytest.approx(statistics.stdev(values))
        assert result.metrics[key] == result.trials["one"][key]
    assert result.trials["one"]["num_trials"] == 4 and result.trials["one"]["num_queries"] == 3
    assert result.trials["other"] == {"num_trials": 1, **alone[1]}
    assert set(result.metrics) == set(alone[0])
    assert result.trial == trials[0] and len(result.query) == 3 and len(result.gallery) == 20
    assert result.ranking.mAP == alone[0]["mAP"]


def test_lines_for_a_log(extracted):
    query, gallery = images(5, 0, 1), images(10, 1, 2)
    plain = list(retrieve(None, query, gallery, **OPTIONS).lines("market"))
    assert len(plain) == 1 and plain[0].startswith("market: rank1 ") and "±" not in plain[0]
    trials = [Trial("a", range(5), range(k, 8 + k)) for k in range(2)] + [Trial("b", range(5), range(10))]
    first, second = retrieve(None, query, gallery, trials, **OPTIONS).lines("sysu")
    assert first.startswith("sysu a: num_trials 2  rank1 ") and "±" in first
    assert second.startswith("sysu b: num_trials 1") and "±" not in second


def test_a_list_that_is_both_is_extracted_once(extracted):
    both = images(12, 0, 3)
    both.camids = torch.arange(12) % 2
    forth, back = Trial("forth", range(0, 12, 2), range(1, 12, 2)), Trial("back", range(1, 12, 2), range(0, 12, 2))
    result = retrieve(None, both, both, (forth, back), **OPTIONS)
    assert extracted == [both] and list(result.trials) == ["forth", "back"]
    assert result.trials["forth"]["mAP"] != result.trials["back"]["mAP"]


def test_a_trial_without_any_match_is_said(extracted):
    query, gallery = images(5, 0, 1), images(10, 1, 2)
    with pytest.raises(DataError, match="none of the 1 queries has a match"):
        retrieve(None, query, gallery, [Trial("a", range(5), range(10)), Trial("b", (0,), (1, 2))], **OPTIONS)


def test_variants_are_averaged_beside_the_plain_ranking(extracted):
    class Reversed:
        needs_maps = needs_cosine = False

        def check(self, num_gallery):
            assert num_gallery == 10  # a trial's, not all 20

        def memory(self, query, gallery):
            return 0

        def distances(self, query, gallery, *, distance, junk):
            assert junk is JUNK_RULES["same_room"]
            return feature_distances(-query.features, gallery.features, distance=distance)

    query, gallery = images(5, 0, 1), images(20, 3, 2)
    trials = [Trial("a", range(5), range(k, 10 + k), junk="same_room", cmc="identities") for k in (0, 5)]
    result = retrieve(None, query, gallery, trials, variants={"reversed": Reversed()}, **OPTIONS)
    assert list(result.trials) == ["a", "a, reversed"] and result.trials["a, reversed"]["num_trials"] == 2
    assert result.variant_metrics["reversed"]["mAP"] == result.trials["a, reversed"]["mAP"] != result.metrics["mAP"]
    found = findings(result, bootstrap=Bootstrap())
    assert found["trials"] == result.trials and found["variants"] == result.variant_metrics
    assert found["confidence"]["of"] == "the first of a"


def test_summaries_by_hand():
    trials = [Trial("x", (0,), (0,)), Trial("x", (0,), (1,)), Trial("y", (0, 1), (0,))]
    summary = summarize_trials(["x", "x", "y"], [{"mAP": 0.2, "num_skipped": 0}, {"mAP": 0.4, "num_skipped": 1},
                                                 {"mAP": 0.9, "num_skipped": 0}])
    assert summary["x"] == {"num_trials": 2, "mAP": pytest.approx(0.3), "mAP_std": pytest.approx(0.02**0.5),
                            "num_skipped": 0.5}
    assert summary["y"] == {"num_trials": 1, "mAP": 0.9, "num_skipped": 0}
    assert headline(summary, "x") == {"mAP": pytest.approx(0.3), "num_skipped": 0.5}
    assert describe_trials(trials)["x"] == {"trials": 2, "queries": 1, "gallery": 1, "junk": "same_camera",
                                            "cmc": "images"}


def test_the_protocol_lists_trials():
    trials = (Trial("x", (0, 1), (0,), junk="same_room", cmc="identities"),)
    described = describe_protocol("cosine", True, trials={"sysu": trials, "market": ()})
    assert described["trials"] == {"sysu": {"x": {"trials": 1, "queries": 2, "gallery": 1, "junk": "same_room",
                                                  "cmc": "identities"}}}
    assert "trials" not in describe_protocol("cosine", True, trials={"market": ()})
