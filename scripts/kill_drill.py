"""Kill runs at many moments, continue them, and compare how they end with a run that was never disturbed.

    python scripts/kill_drill.py --kills 200 --folder DIR
    python scripts/kill_drill.py --kills 20 --folder DIR --stages drawing checkpoint
    python scripts/kill_drill.py --kills 20 --folder DIR --stages search --processes 2

Every stage waits for a moment (an unfinished file, the first epoch) and kills (SIGKILL) the process up to a while
later; after a few kills the run is let finish. Of several processes of a run one is killed, and the others must end by
themselves with an exit code above 0. Reports differences, files and processes that were left, and exits with
code 1 if there are any. Linux only. Tiny drawn data, some seconds a run.
"""

import argparse
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import Any, NoReturn

import torch

DATA = ("data.synthetic.size=tiny", "data.synthetic.train_ids=10", "data.synthetic.test_ids=4",
        "data.synthetic.distractor_ids=1", "data.synthetic.image_size=[48,24]", "data.image_size=[32,16]")
SEARCH = (*DATA, "space.channels=4", "space.layers=[1,1]", "space.nodes=2", "batch.size=8", "evaluation.every=1",
          "algorithm.warmup_epochs=0", "threads=1", "wandb.mode=disabled")
RETRAIN = (*DATA, "genotype=auto_reid/retrieval", "network.channels=4", "network.layers=[1,1]", "batch.size=8",
           "optimizer.warmup_epochs=1", "evaluation.every=1", "threads=1", "wandb.mode=disabled")
KILLS_PER_RUN = 10
PATIENCE_S = 60.0  # in which the children of a killed process must end; they import torch before they look
_ends_s: list[float] = []  # how long after a kill the last of the other processes ended


@dataclass(frozen=True)
class Stage:
    """What is disturbed.

    Args:
        command, arguments: the run.
        moment: file pattern below the run's folder and the cache; the kill comes after its first match.
        spread_s: the kill comes at most so much later.
        cold: whether each run begins with an empty cache.
        processes: of the run.
    """

    command: str
    arguments: tuple[str, ...]
    moment: str
    spread_s: float
    cold: bool = False
    processes: int = 1


STAGES = {
    "drawing": Stage("search", (*SEARCH, "epochs=1", "data.workers=2"), "cache/synthetic/.*/*/*.jpg", 1.0, cold=True),
    "drawing_alone": Stage("search", (*SEARCH, "epochs=1", "data.workers=1"), "cache/synthetic/.*", 2.0, cold=True),
    "decoding": Stage("search", (*SEARCH, "epochs=1", "data.workers=1"), "cache/stores/.*", 0.05, cold=True),
    "search": Stage("search", (*SEARCH, "epochs=8", "data.workers=1"), "run/metrics.jsonl", 3.0),
    "retrain": Stage("retrain", (*RETRAIN, "epochs=9", "data.workers=1"), "run/metrics.jsonl", 3.0),
    "checkpoint": Stage("retrain", (*RETRAIN, "epochs=12", "data.workers=1"), "run/checkpoints/.*", 0.02),
    "report": Stage("retrain", (*RETRAIN, "epochs=2", "data.workers=1"), "run/pictures", 1.0),
}


def main() -> None:
    """Drill every stage and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="over all stages (default 200)")
    parser.add_argument("--folder", type=Path, required=True, help="scratch; what an earlier drill left is removed")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument("--processes", type=int, default=1, help="of each run, as torchrun starts them (default 1)")
    arguments = parser.parse_args()
    rng, failures = random.Random(arguments.seed), []
    for name in arguments.stages:
        folder = arguments.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        stage = replace(STAGES[name], processes=arguments.processes)
        kills, runs, found = drill(stage, folder, -(-arguments.kills // len(arguments.stages)), rng)
        failures += found
        ended = f"; the others ended within {max(_ends_s):.1f} s" if _ends_s else ""
        print(f"{name}: {kills} kills in {runs} runs, {len(found)} failures{ended}", flush=True)
    print("\n".join(failures))
    sys.exit(bool(failures))


def drill(stage: Stage, folder: Path, wanted: int, rng: random.Random) -> tuple[int, int, list[str]]:
    """Kills, runs, and what was wrong, in words; the runs that were right are removed."""
    whole = folder / "whole"
    if finish(stage, whole):
        return 0, 1, [f"{whole}: the undisturbed run failed, see its output"]
    kills, runs, failures = 0, 0, []
    while kills < wanted and runs < 10 * wanted:
        killed = folder / f"{runs:03d}"
        if not stage.cold:
            shutil.copytree(whole / "cache", killed / "cache", copy_function=shutil.copy2)
        found = []
        for _ in range(min(KILLS_PER_RUN, wanted - kills)):
            processes = start(stage, killed)
            victim = rng.choice(processes)
            was_killed = kill_after(victim, killed, stage, rng)
            kills += was_killed
            others = [process for process in processes if process != victim]
            found += ends_of(others, lost=was_killed and not (killed / "run" / "result.json").exists())
            found += [left for process in processes for left in survivors(process)]
            if not was_killed:
                break
        code = finish(stage, killed)
        found += [f"exit code {code}"] if code else differences(whole, killed)
        runs += 1
        failures += [f"{killed}: {what}" for what in found]
        if not found:
            shutil.rmtree(killed)
    return kills, runs, failures


def start(stage: Stage, folder: Path) -> list[int]:
    """The processes of a run, each in a session of its own. Forked, so that they need not import everything again."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(stage.processes):
        process = os.fork()
        if not process:
            if stage.processes > 1:
                os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(stage.processes),
                               "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            run(stage, folder)
        processes.append(process)
    return processes


def run(stage: Stage, folder: Path) -> NoReturn:
    """What a forked process does."""
    os.setsid()
    output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    code = 1
    try:
        os.environ["NAS_REID_CACHE"] = str(folder / "cache")
        sys.argv = [f"nas_reid/{stage.command}.py", *stage.arguments, f"hydra.run.dir={folder / 'run'}"]
        importlib.import_module(f"nas_reid.{stage.command}").main()
        code = 0
    except SystemExit as end:
        sys.stderr.write(f"{end.code}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def finish(stage: Stage, folder: Path) -> int:
    """Run to the end; returns the exit code, the largest of several."""
    return max(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in start(stage, folder))


def kill_after(process: int, folder: Path, stage: Stage, rng: random.Random) -> bool:
    """Kill a process at its moment; whether it was still running then."""
    pattern = str(folder / stage.moment)  # pathlib's glob stumbles over folders that are gone when it comes to them
    seen = set(glob(pattern)) if "/." in stage.moment else set()  # what earlier kills left
    passing = rng.randrange(4) if stage.moment.endswith("checkpoints/.*") else 0  # so many are written in peace
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        new = set(glob(pattern)) - seen
        if new and not passing:
            time.sleep(rng.uniform(0, stage.spread_s))
            os.kill(process, signal.SIGKILL)
            return os.WIFSIGNALED(os.waitpid(process, 0)[1])
        if new:
            passing, seen = passing - 1, seen | new
        time.sleep(0.0005)
    return False


def ends_of(processes: Sequence[int], *, lost: bool) -> list[str]:
    """What is wrong with how the others of a run end, in words.

    Args:
        processes: to be waited for.
        lost: whether another was killed before the run was complete, so that they must fail.
    """
    began, found = time.monotonic(), []
    for process in processes:
        while (ended := os.waitpid(process, os.WNOHANG)) == (0, 0) and time.monotonic() < began + PATIENCE_S:
            time.sleep(0.01)
        if ended == (0, 0):
            os.kill(process, signal.SIGKILL)
            found.append(f"process {process} goes on without the one that was killed")
            ended = os.waitpid(process, 0)
        elif lost and os.waitstatus_to_exitcode(ended[1]) == 0:
            found.append(f"process {process} ends with code 0 after another was killed")
    if lost and processes:
        _ends_s.append(time.monotonic() - began)
    return found


def survivors(session: int) -> list[str]:
    """Processes of a killed one's session that do not end by themselves."""
    end = time.monotonic() + PATIENCE_S
    while left := [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if lives_in(pid, session)]:
        if time.monotonic() > end:
            return [f"processes {left} outlive the run"]
        time.sleep(0.05)
    return []


def lives_in(pid: int, session: int) -> bool:
    """Whether a process runs and belongs to a session."""
    try:
        state, _, _, of = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return False
    return int(of) == session and state not in "ZX"


def differences(whole: Path, killed: Path) -> list[str]:
    """What a run that was killed and continued left otherwise than an undisturbed one."""
    found = [f"{path.relative_to(killed)} was left" for path in killed.rglob(".*") if path.name != ".hydra"]
    one, other = ({path.relative_to(root) for path in (root / "run").rglob("*")} for root in (whole, killed))
    found += [f"{path} is missing or too much" for path in sorted(one ^ other) if path.suffix != ".log"]
    for path in sorted(one & other):
        if (whole / path).is_file() and fingerprint(whole / path) != fingerprint(killed / path):
            found.append(f"{path} differs")
    caches = [sorted(digest(path.read_bytes()) for path in (root / "cache").rglob("*") if path.is_file())
              for root in (whole, killed)]
    return found + (["the caches differ"] if caches[0] != caches[1] else [])


def fingerprint(path: Path) -> Any:
    """What of a file must be equal: everything but times, and the folder that it is in."""
    if path.suffix == ".pt":
        state = torch.load(path, weights_only=True)
        return [(key, digest(leaf.numpy().tobytes()) if isinstance(leaf, torch.Tensor) else leaf)
                for key, leaf in leaves(state)]
    if path.name == "metrics.jsonl":
        return [without_times(json.loads(line)) for line in path.read_text().splitlines()]
    if path.name == "result.json":
        result = json.loads(path.read_text())
        return [without_times(result[key]) for key in ("metrics", "selection")]
    kept = path.suffix in (".json", ".safetensors", ".csv") or path.name in ("cells.png", "alphas.png")
    return digest(path.read_bytes()) if kept else None


def leaves(state: Any, name: str = "") -> list[tuple[str, Any]]:
    """The leaves of nested containers by dotted key."""
    if not isinstance(state, dict | list):
        return [(name, state)]
    items: Iterable[tuple[Any, Any]] = state.items() if isinstance(state, dict) else enumerate(state)
    return [leaf for key, value in items for leaf in leaves(value, f"{name}.{key}")]


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what a clock measured."""
    return {key: value for key, value in record.items() if not key.startswith("time")}


def digest(content: bytes) -> str:
    """A name for bytes."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


if __name__ == "__main__":
    for command in ("search", "retrain"):
        importlib.import_module(f"nas_reid.{command}")
    main()
