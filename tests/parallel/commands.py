"""Commands one after the other, as one of several processes; what each left is written down."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import torch

import nas_reid.run.together
from nas_reid.parallel.processes import rank
from nas_reid.run.job import Job
from tests.cli.commands import EVALUATE, RETRAIN, SEARCH, invoke

PRETRAIN = ("genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]", "data.synthetic.size=tiny",
            "data.synthetic.train_ids=10", "data.synthetic.test_ids=4", "data.image_size=[32,16]", "data.workers=1",
            "epochs=1", "batch_size=8", "threads=1", "optimizer.warmup_epochs=0")
FIXED = (*RETRAIN, "genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]", "epochs=1",
         "optimizer.warmup_epochs=0", "augment=none", "ema=0.5")


def lines(folder: Path) -> dict[str, tuple[str, ...]]:
    """Name -> command and its arguments."""
    best = f"checkpoint={folder}/retrain/checkpoints/best.pt"
    return {"retrain": ("retrain", *FIXED), "again": ("retrain", *FIXED),
            "evaluate": ("evaluate", best, *EVALUATE, "evaluation.batch_size=5", "evaluation.flip=true",
                         "evaluation.rerank={k1: 3, k2: 2, lambda: 0.3}"),
            "extract": ("extract", best, f"images={folder}/images", "batch_size=3"),
            "pretrain": ("pretrain", *PRETRAIN),
            "help": ("search", "--help"), "sweep": ("search", "-m", *SEARCH, "seed=0,1"),
            "undivided": ("search", *SEARCH, "batch.size=12", "batch.instances=4"),
            "different": ("search", *SEARCH, f"seed={rank()}"),
            "compiled": ("search", *SEARCH, "compile=default"),
            "other_code": ("search", *SEARCH), "blind": ("search", *SEARCH),
            "no_gpu": ("search", *SEARCH, "device=cuda")}


def run_commands(folder: Path) -> None:
    """All lines, and what each process said and left."""
    for name, (command, *arguments) in lines(folder).items():
        place = folder / ("retrain" if name == "again" else name)
        with disturbed(name):
            outcome = invoke(command, *arguments, f"hydra.{'sweep' if name == 'sweep' else 'run'}.dir={place}")
        (folder / f"{name}.{rank()}.json").write_text(json.dumps([outcome.code, outcome.out, outcome.err]))


@contextmanager
def disturbed(name: str) -> Iterator[None]:
    """What is otherwise in the second process, or cannot be had here, while the line of that name runs."""
    exists = Path.exists
    with ExitStack() as stack:
        if name == "other_code" and rank():
            stack.enter_context(patch.object(nas_reid.run.together, "_sources", lambda: "another digest"))
        if name == "blind" and rank():  # its machine has a folder of the same name, which is another one
            stack.enter_context(patch.object(nas_reid.run.together, "_VISIBLE_S", 0.1))
            stack.enter_context(patch.object(Path, "exists", lambda path, **arguments: not path.name.startswith(
                ".together") and exists(path, **arguments)))
        if name == "no_gpu":
            stack.enter_context(patch.object(torch.cuda, "device_count", lambda: 0))
        yield


def lose_a_process(folder: Path) -> None:
    """A search whose second process is killed when the first epoch is written; what the first one says is kept."""
    save = Job.save

    def save_and_die(*arguments: object) -> None:
        save(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(Job, "save", save_and_die if rank() else save):
        outcome = invoke("search", *SEARCH, "augment=none", "epochs=3", "wandb.mode=disabled",
                         f"hydra.run.dir={folder / 'lost'}")
    (folder / "lost.json").write_text(json.dumps([outcome.code, outcome.out, outcome.err]))
