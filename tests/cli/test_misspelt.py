"""Command lines that mean nothing: one sentence that says what to write, printed once, never a hint to add keys."""

import pytest

from tests.cli.commands import invoke
from tests.cli.refusals import assert_refused

GENOTYPE = "genotype=auto_reid/baseline"


@pytest.mark.parametrize(("line", "expected"), [
    (("search", "batch.szie=3"), "nas_reid.search has no key batch.szie. Did you mean batch.size?"),
    (("search", "~batch.szie"), "nas_reid.search has no key batch.szie. Did you mean batch.size?"),
    (("search", "-m", "batch.szie=8,16"), "nas_reid.search has no key batch.szie. Did you mean batch.size?"),
    (("search", "spcae=auto_reid"), "nas_reid.search has no key spcae. Did you mean space?"),
    (("search", "lr=1"), "nas_reid.search has no key lr. Did you mean weights.lr or alphas.lr?"),
    (("search", "hydra.run.dri=x"), "nas_reid.search has no key hydra.run.dri. Did you mean hydra.run.dir?"),
    (("evaluate", "checkpoint=x", "wandb.mode=disabled"),
     "nas_reid.evaluate has no key wandb.mode: it is one of nas_reid.search, nas_reid.retrain, nas_reid.pretrain. "
     "Leave it out"),
    (("search", "optimizer.lr=3"), "nas_reid.search has no key optimizer.lr: it is one of nas_reid.retrain, "
                                   "nas_reid.pretrain. Did you mean weights.lr or alphas.lr?"),
    (("search", "experiment=smoke_retrain"), "experiment=smoke_retrain is for nas_reid.retrain, not for "
                                             "nas_reid.search: python -m nas_reid.retrain experiment=smoke_retrain"),
    (("retrain", GENOTYPE, "experiment=auto_reid_market1501"),
     "experiment=auto_reid_market1501 is for nas_reid.search, not for nas_reid.retrain: python -m nas_reid.search "
     "experiment=auto_reid_market1501"),
    (("evaluate", "experiment=smoke"), "experiment=smoke is for nas_reid.search, not for nas_reid.evaluate: python -m "
                                       "nas_reid.search experiment=smoke"),
    (("evaluate", "experiment=mine"), "nas_reid.evaluate has no key experiment: it is one of nas_reid.search, "
                                      "nas_reid.retrain, nas_reid.pretrain. Leave it out"),
    (("search", "--space=auto_reid"), "--space=auto_reid: write space=auto_reid"),
    (("search", "--seed", "3"), "--seed: write seed=VALUE"),
    (("search", "seed=3", "-m", "epochs=1,2"), "epochs=1,2: write flags such as -m before all overrides"),
    (("search", "epochs", "3"), "epochs: an override is written epochs=VALUE"),
    (("search", "pretrained=a=b"), "pretrained=a=b: Hydra cannot read this value (mismatched input '=' expecting "
                                   "<EOF>); if it is meant as it stands, write 'pretrained=\"a=b\"'"),
    (("tabulate", "recipe=[epochs=1,lr=2]"), "recipe=[epochs=1,lr=2]: Hydra cannot read this value (no viable "
     "alternative at input '[epochs='); if it is meant as it stands, write 'recipe=[\"epochs=1\",\"lr=2\"]'"),
    (("search", "data=null"), "data=null: a file of conf/data is expected; leave it out for the default"),
    (("search", "experiment=null"), "experiment=null: a file of conf/experiment is expected; leave it out for the "
                                    "default"),
    (("search", "epochs=3", "experiment=null", "channels_last=true"),
     "experiment=null: a file of conf/experiment is expected; leave it out for the default"),
    (("search", "+epochs=3"), "epochs is there already: write it without +"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_a_line_that_means_nothing_is_answered_by_one_that_does(line: tuple[str, ...], expected: str) -> None:
    outcome = invoke(*line)
    assert_refused(outcome)
    assert outcome.err.strip() == expected and outcome.err.count(expected) == 1
    assert "[ERROR]" not in outcome.out


@pytest.mark.parametrize(("line", "parts"), [
    (("search", "data=mrket"),
     (r"^Could not find 'data/mrket'\. Did you mean data=market1501\? Known are: .*viper$",)),
    (("search", "epochs=three"), ("^epochs=three must be a whole number$",)),
    (("search", "batch=null"), (r"^batch=null must be a mapping, \{key: value\}$",)),
    (("search", "seed=1,2"), ("Ambiguous value for argument 'seed=1,2'", "--multirun"))])
def test_hydras_words_are_kept_where_they_help(line: tuple[str, ...], parts: tuple[str, ...]) -> None:
    outcome = invoke(*line)
    assert_refused(outcome, *parts)
    assert "object_type" not in outcome.err and "HYDRA_FULL_ERROR" not in outcome.err


def test_the_full_error_is_there_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="Could not override 'epoch'"):
        invoke("search", "epoch=3")
