"""compile=: a network is compiled in the first epoch, and not again in the others."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.fx import GraphModule

from nas_reid.run.job import Job
from tests.cli.commands import invoke
from tests.cli.covering_runs import SHORT, SMALL

RUNS = {
    "search": ("space=nfs", "space.width=0.0625", *SHORT["INFRARED"].split(), "algorithm=nfs", "batch.instances=4"),
    "retrain": ("genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]", "drop_path=0.3"),
}


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("command", RUNS)
def test_what_changes_from_epoch_to_epoch_is_not_compiled_again(command: str, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning rates, temperatures, drop-path; the sizes of batches differ inside the first epoch already."""
    graphs: list[GraphModule] = []
    after: list[int] = []
    breaks = torch._dynamo.utils.counters["graph_break"]
    compile_, finish = torch.compile, Job.finish_epoch

    def keep(graph: GraphModule, _inputs: object) -> GraphModule:
        graphs.append(graph)
        return graph

    def note(*arguments: Any) -> None:
        after.append(len(graphs))
        finish(*arguments)

    torch._dynamo.reset()
    breaks.clear()
    monkeypatch.setattr(torch, "compile", lambda function, mode: compile_(function, backend=keep))
    monkeypatch.setattr(Job, "finish_epoch", note)
    outcome = invoke(command, *SMALL, *RUNS[command], "epochs=2", "compile=default", f"hydra.run.dir={tmp_path}")
    assert outcome.code == 0, outcome.err
    assert after == [3, 3]  # in training, in evaluation, and for batches of another size
    assert not breaks
    torch._dynamo.reset()
