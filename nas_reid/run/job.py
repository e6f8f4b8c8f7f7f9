"""What a search and a retraining have around them: a folder, a device, a tracker, and a checkpoint to continue from."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nas_reid.config.loading import to_plain
from nas_reid.config.schemas import SCHEMAS
from nas_reid.config.training import TrainingConfig
from nas_reid.drawing.curves import draw_training
from nas_reid.errors import CheckpointError, NasReidError
from nas_reid.files.foreign import read_text
from nas_reid.network.checkpoint import load_checkpoint, save_checkpoint
from nas_reid.network.determinism import deterministic
from nas_reid.network.execution import select_device
from nas_reid.parallel.processes import PeerLost, is_main, rank, world
from nas_reid.parallel.turns import barrier, main_first
from nas_reid.record.provenance import versions
from nas_reid.record.report import Running, write_report, write_running_report
from nas_reid.record.tracking import Tracker, plain_record, read_metrics
from nas_reid.run.command_line import continuing_command, next_command
from nas_reid.run.invocation import Invocation
from nas_reid.run.same_config import other_processes, require_same_config
from nas_reid.run.sole_run import sole_run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One run.

    Args:
        folder: where everything is written.
        device: where tensors live.
        tracker: the record of the run.
        config: the resolved configuration as plain data.
        resume: whether a checkpoint found in ``folder`` is continued.
        call: of the command; None when Python asked for the run.
        kind: of run: the command's name.
    """

    folder: Path
    device: torch.device
    tracker: Tracker
    config: Mapping[str, Any]
    resume: bool
    call: Invocation | None
    kind: str
    kept: list[int] = field(default_factory=list)  # epochs that ``last`` stood for; empty: it was not looked at yet

    @property
    def last(self) -> Path:
        """The checkpoint that a stopped run continues from."""
        return self.folder / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.folder / "checkpoints" / "best.pt"

    def save(self, state: Mapping[str, Any], path: Path | None = None) -> None:
        """Write a checkpoint (default: ``last``) together with the configuration; afterwards all processes find it."""
        if is_main():
            own = {"threads": torch.get_num_threads(), "processes": world()}
            save_checkpoint(path or self.last, {**own, **state}, config=self.config)
        barrier()
        if path is None:
            self.kept.append(state["epoch"])

    def take_up(self) -> dict[str, Any] | None:
        """Prepare the folder: the state to continue from, or None for a new run, after deleting what an old one left.

        Records after that state are deleted too. Of several processes the first prepares the folder.

        Raises:
            CheckpointError: damaged, or of another configuration.
        """
        with main_first():
            return self._take_up()

    def _take_up(self) -> dict[str, Any] | None:
        if not (self.resume and self.last.exists()):
            # Else this run, stopped and repeated, would be taken for the old one.
            self._remove(self.folder / "result.json", self.last, self.best, *self.folder.glob("genotypes/*.json"))
            self.tracker.resume_at(1)
            self.kept.append(0)
            return None
        try:
            state = load_checkpoint(self.last, device="cpu")
        except CheckpointError as error:
            raise CheckpointError(f"{error}; a run whose own checkpoint is damaged starts anew with "
                                  "resume=never") from None
        require_same_config(self.last, state["config"], self.config)
        if state["epoch"] < self.config["epochs"]:
            self._remove(self.folder / "result.json")  # of fewer epochs, or half a file
        if (threads := state.get("threads", torch.get_num_threads())) != torch.get_num_threads():
            log.warning("the run goes on with %d threads, as it began: with %d its sums would differ in their last "
                        "bits", threads, torch.get_num_threads())
            torch.set_num_threads(threads)
        if (noise := other_processes(state.get("processes", 1), self.config)):
            log.warning(noise)
        self.tracker.resume_at(state["epoch"] + 1)  # records count epochs from 1
        self.kept.append(state["epoch"])
        log.info("continuing %s after epoch %d", self.folder, state["epoch"])
        return state

    @staticmethod
    def _remove(*paths: Path) -> None:
        for path in paths if is_main() else ():
            path.unlink(missing_ok=True)

    def standing(self) -> str:
        """Where a run that is stopped stands, and the line that continues it."""
        epoch = self.kept[-1] if self.kept else 0
        where = f"after epoch {epoch} of {self.config['epochs']}" if epoch else "before the end of its first epoch"
        if not self.kept:
            where = "before its training began"
        again = (f"call it with {self.folder} again" if self.call is None
                 else continuing_command(self.call, self.kind, self.folder, anew=not self.kept))
        return f"the run stands {where}; to {'continue' if epoch else 'repeat'} it: {again}"

    def next_line(self, command: str, arguments: Mapping[str, object], *, same_data: bool) -> str | None:
        """The command line that comes after this one's; None if this run came from none."""
        if self.call is None:
            return None
        return next_command(self.call, command, arguments, data=self.config["data"] if same_data else None)

    def show_stopped(self, reason: str) -> None:
        """Say in the report of a run that has begun why it does not go on; what fails here hides nothing else."""
        if is_main() and self.kept and not (self.folder / "result.json").exists():
            with suppress(NasReidError, OSError):
                write_running_report(self.folder, Running(self.kind, self.config, reason))

    def finish_epoch(self, epoch: int, record: Mapping[str, float], started: float) -> None:
        """Record an epoch (counted from 0) that began at ``started`` on the monotonic clock, log one line, and let the
        report show it."""
        self.tracker.log({"epoch": epoch + 1, **record, "time/epoch_s": time.monotonic() - started})
        shown = "  ".join(f"{name.split('/')[-1]} {value:.3f}" for name, value in record.items())
        log.info("epoch %d  %s  (%.0f s)", epoch + 1, shown, time.monotonic() - started)
        if is_main():
            write_running_report(self.folder, Running(self.kind, self.config))

    def finish(self, result: Mapping[str, Any], pictures: Sequence[Path], next_line: str | None = None) -> None:
        """Show the pictures, write the report, last ``result.json``, which says that the run is complete, and say what
        comes next. For the main process alone."""
        records = read_metrics(self.folder)
        curves = self.folder / "pictures" / "training.png"
        pictures = [*pictures, curves] if draw_training(records, curves) else list(pictures)
        for picture in pictures:
            self.tracker.picture(f"pictures/{picture.stem}", picture)
        result = {**result, "next": next_line} if next_line else result
        complete = plain_record({**result, "versions": versions(), "config": self.config})
        write_report(self.folder, complete)
        self.tracker.finish(complete)
        if next_line:
            log.info("next: %s", next_line)


@contextmanager
def start_job(settings: TrainingConfig, folder: Path, *, name: str | None = None,
              call: Invocation | None = None) -> Iterator[Job]:
    """Choose the device, open the tracker, and close it whatever happens.

    Args:
        settings: of the run.
        folder: where everything is written; created if it is not there.
        name: of the run in trackers; None: the folder's.
        call: see ``Job``.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    plain, device = to_plain(settings), select_device(settings.device, job=call.number if call else 0)
    kind = next(command for command, schema in SCHEMAS.items() if isinstance(settings, schema))
    with sole_run(folder), deterministic(settings.deterministic), \
            Tracker(folder, mode=settings.wandb.mode, project=settings.wandb.project,
                    group=settings.wandb.group or (call.group if call else None), name=name or folder.name,
                    job_type=kind, config={**plain, "versions": versions()}, tags=settings.wandb.tags, rank=rank(),
                    waits=True) as tracker:
        job = Job(folder, device, tracker, plain, settings.resume != "never", call, kind)
        try:
            yield job
        except KeyboardInterrupt as stop:
            stop.add_note(job.standing())
            job.show_stopped(job.standing())
            raise
        except PeerLost as lost:
            job.show_stopped(f"{lost}; {job.standing()}")
            raise PeerLost(f"{lost}; {job.standing()}") from lost
        except Exception as error:
            job.show_stopped(f"{type(error).__name__}: {error}")
            raise


def finished_result(settings: TrainingConfig, folder: Path) -> dict[str, Any] | None:
    """The result of a run that is already complete in this folder, else None. A report that is missing is written.

    Raises:
        CheckpointError: the folder holds the result of another configuration.
    """
    path = folder / "result.json"
    if settings.resume == "never" or not path.exists():
        return None
    try:
        result = json.loads(read_text(path))
        config, _ = result["config"], dict(result["selection"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is damaged (%s: %s) and is written again", path, type(error).__name__, error)
        return None
    require_same_config(path, config, to_plain(settings))
    if config["epochs"] < settings.epochs:
        return None  # to be extended
    if is_main() and not (folder / "report.html").exists():
        write_report(folder)
    log.info("%s is complete already; resume=never starts it anew", path)
    return result
