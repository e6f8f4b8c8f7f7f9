"""What a search can tell before its first epoch."""

from pathlib import Path

import pytest

from tests.cli.commands import DATA, invoke
from tests.cli.refusals import assert_refused

TWO_STREAMS = (*DATA, "space=nfs", "space.width=0.0625", "batch.size=8", "epochs=1", "threads=1",
               "algorithm.warmup_epochs=2")


@pytest.mark.usefixtures("no_pictures")
def test_alphas_that_never_move_and_streams_that_see_nothing_are_told(tmp_path: Path) -> None:
    outcome = invoke("search", *TWO_STREAMS, f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert "algorithm.warmup_epochs=2 leaves none of epochs=1 to the alphas: the genotype" in outcome.out
    assert "all images of synthetic are visible and the network treats infrared ones apart" in outcome.out


def test_a_limit_that_the_space_cannot_exceed_is_refused_before_the_data(no_data: Path, tmp_path: Path) -> None:
    outcome = invoke("search", *TWO_STREAMS, "algorithm.stop_skips=1", f"hydra.run.dir={tmp_path}")
    assert_refused(outcome, "algorithm.stop_skips=1 never stops this search: no choice of its space is tagged skip",
                   "leave it out")
    assert not no_data.exists()
