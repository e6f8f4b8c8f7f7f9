"""The commands as a person runs them: in this process for speed, in another where signals or packages matter."""

import contextlib
import importlib
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]

# Ten small people in four cameras, seen at 32 x 16 pixels: the smallest data on which every stage has work to do.
DATA = ("data.synthetic.size=tiny", "data.synthetic.train_ids=10", "data.synthetic.test_ids=4",
        "data.synthetic.distractor_ids=1", "data.synthetic.image_size=[48,24]", "data.image_size=[32,16]",
        "data.workers=1")
SPACE = ("space.channels=4", "space.layers=[1,1]", "space.nodes=2")
SEARCH = (*DATA, *SPACE, "epochs=2", "batch.size=8", "algorithm.warmup_epochs=0", "evaluation.every=1", "threads=1")
RETRAIN = (*DATA, "epochs=2", "batch.size=8", "optimizer.warmup_epochs=1", "evaluation.every=1", "threads=1")
EVALUATE = (*DATA, "threads=1")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def invoke(command: str, *arguments: object) -> Outcome:
    """Run ``python -m nas_reid.<command>`` in this process, and leave its logging and threads as they were."""
    main = importlib.import_module(f"nas_reid.{command}").main
    argv, threads, out, err, code = sys.argv, torch.get_num_threads(), io.StringIO(), io.StringIO(), 0
    sys.argv = [f"nas_reid/{command}.py", *map(str, arguments)]
    try:
        with _own_logging(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        if isinstance(error.code, str):
            err.write(error.code)  # as the interpreter would
    finally:
        sys.argv = argv
        torch.set_num_threads(threads)
    return Outcome(code, out.getvalue(), err.getvalue())


def start(command: str, *arguments: object, environment: Mapping[str, str] | None = None,
          cwd: Path = ROOT) -> subprocess.Popen:
    """``python -m nas_reid.<command>`` as a process of its own."""
    return subprocess.Popen([sys.executable, "-m", f"nas_reid.{command}", *map(str, arguments)], cwd=cwd, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})})


def run(command: str, *arguments: object, environment: Mapping[str, str] | None = None, cwd: Path = ROOT) -> Outcome:
    """``start`` and wait for the end."""
    process = start(command, *arguments, environment=environment, cwd=cwd)
    out, err = process.communicate(timeout=300)
    return Outcome(process.returncode, out, err)


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """Hydra configures the root logger for each job; undo that, and close the job's log file."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
