"""What a run leaves for later reading: ``metrics.jsonl`` and ``result.json``, and a wandb run that mirrors them.

The two local files are the record. wandb repeats it for people who like its pages: deleting wandb, its network
or its account changes no number and no file, so whatever fails in it is a warning and never ends a run.
"""

import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from nas_reid.errors import ConfigError, NasReidError
from nas_reid.files import write_atomically
from nas_reid.files.foreign import read_text

METRICS_FILE = "metrics.jsonl"
RESULT_FILE = "result.json"
MODES = ("offline", "online", "disabled")

log = logging.getLogger(__name__)


class Tracker:
    """The record of one run, as a context manager; leaving it by an exception marks the wandb run as failed.

    Args:
        output_dir: the run's folder; wandb's own files go to ``output_dir/wandb``.
        mode: wandb mode: ``offline`` (upload later with ``wandb sync``), ``online`` or ``disabled``.
        project, group, name, job_type, tags: how wandb files the run; a sweep's runs share a group.
        config: plain nested dict of everything that was configured.
        rank: process number of a distributed run; every process but 0 records nothing.
        waits: wandb starts with ``resume_at``, as the training does: a mistake that shows before leaves no wandb run.

    Raises:
        ConfigError: unknown mode.
    """

    def __init__(
        self,
        output_dir: Path,
        *,
        mode: str,
        project: str,
        group: str | None,
        name: str,
        job_type: str,
        config: Mapping[str, Any],
        tags: Sequence[str] = (),
        rank: int = 0,
        waits: bool = False,
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"wandb mode is {mode!r}; expected one of {', '.join(MODES)}: "
                              "check wandb.mode and the environment's WANDB_MODE")
        self.output_dir = output_dir
        self._mode = mode
        self._identity: dict[str, Any] = {"project": project, "group": group, "name": name, "job_type": job_type,
                                          "tags": list(tags)}
        self._config = dict(config)
        self._records = rank == 0
        self._epoch: float | None = None
        self._run: Any = None
        self._waits = waits

    def __enter__(self) -> "Tracker":
        """Create the folder and an empty record (so that a bad folder shows at once), then start wandb.

        Raises:
            NasReidError: the folder cannot be created or written.
        """
        if self._records:
            self._write(self.output_dir / METRICS_FILE, _append, b"")
            self._run = None if self._waits else self._start_wandb()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """End the wandb run: exit code 0, or 1 after an exception."""
        self._mirror(lambda run: run.finish(exit_code=0 if kind is None else 1))
        self._run = None

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``. Floats keep full precision; NaN and infinities become null.

        Args:
            record: metric name -> number (or list of numbers); must hold ``epoch``.

        Raises:
            ValueError: the record has no ``epoch``, so that a resume could not tell whether to keep it.
            NasReidError: the disk is full or the folder cannot be written.
        """
        if "epoch" not in record:
            raise ValueError(f"a metrics record needs an 'epoch'; got the keys {sorted(record)}")
        if not self._records:
            return
        plain = plain_record(record)
        line = json.dumps(plain, allow_nan=False) + "\n"
        self._write(self.output_dir / METRICS_FILE, _append, line.encode())
        self._mirror_record(plain)

    def resume_at(self, epoch: int) -> None:
        """Forget every record of ``epoch`` and later, and a last line that a kill cut short.

        The wandb run of this process then repeats the records that stay, so that each of its runs is complete.
        """
        if not self._records:
            return
        path = self.output_dir / METRICS_FILE
        kept = [record for record in read_metrics(self.output_dir) if record["epoch"] < epoch]
        lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in kept)
        self._write(path, write_atomically, lines.encode())
        if self._waits:
            self._run, self._waits = self._start_wandb(), False
        for record in kept:
            self._mirror_record(record)

    def picture(self, key: str, path: Path) -> None:
        """Show a picture file in wandb, at the epoch of the last record."""
        def show(run: Any) -> None:
            """Log the picture."""
            import wandb
            run.log({key: wandb.Image(str(path))} | ({} if self._epoch is None else {"epoch": self._epoch}))
        self._mirror(show)

    def artifact(self, path: Path, kind: str, metadata: Mapping[str, Any] | None = None) -> None:
        """Keep a file as a wandb artifact ``<run name>-<kind>``.

        ``path`` must stay where it is until the run is synced. Offline, wandb stages artifacts outside the run's
        folder: a folder copied to another machine uploads its metrics from there, but not its artifacts.
        """
        def keep(run: Any) -> None:
            """Log the file as an artefact."""
            import wandb
            name = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{self._identity['name']}-{kind}")
            artifact = wandb.Artifact(name, type=kind, metadata=plain_record(metadata or {}))
            artifact.add_file(str(path))
            run.log_artifact(artifact)
        self._mirror(keep)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write ``result.json`` (atomically: its presence says that the run is complete) and wandb's summary.

        Raises:
            NasReidError: the disk is full or the folder cannot be written.
        """
        if not self._records:
            return
        plain = plain_record(result)
        content = json.dumps(plain, indent=2, allow_nan=False) + "\n"
        self._write(self.output_dir / RESULT_FILE, write_atomically, content.encode())
        summary = {key: value for key, value in plain.items() if key != "config"}
        self._mirror(lambda run: run.summary.update(summary))

    def _write(self, path: Path, write: Callable[[Path, bytes], None], content: bytes) -> None:
        try:
            write(path, content)
        except OSError as error:
            raise NasReidError(f"cannot write {path} ({error.strerror or error}); "
                               "free some disk space or choose a writable output folder") from error

    def _mirror_record(self, record: dict[str, Any]) -> None:
        self._epoch = record["epoch"]
        # No step=: wandb drops steps that go back, and resumed runs go back. The x axis is the logged epoch.
        self._mirror(lambda run: run.log({key: value for key, value in record.items() if value is not None}))

    def _mirror(self, action: Callable[[Any], object]) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:
            log.warning("wandb: %s; the files in %s are complete without it", error, self.output_dir)

    def _start_wandb(self) -> Any:
        """The wandb run; an online run that cannot start becomes an offline one, and that None."""
        if self._mode == "disabled":
            return None
        modes: list[Literal["online", "offline"]] = ["online", "offline"] if self._mode == "online" else ["offline"]
        for mode in modes:
            try:
                return self._init_wandb(mode)
            except Exception as error:
                log.warning("wandb cannot run in mode %s: %s", mode, error)
        return None

    def _init_wandb(self, mode: Literal["online", "offline"]) -> Any:
        import wandb

        # Without a key wandb.init prompts on a terminal, and a batch job would wait for ever.
        if mode == "online" and not wandb.login(prompt=False, verify=False):
            raise ConfigError("no API key; run `wandb login` once or set WANDB_API_KEY")
        settings = wandb.Settings(silent=True, console="off", init_timeout=30, disable_code=True)
        run = wandb.init(mode=mode, dir=str(self.output_dir), config=self._config, settings=settings,
                         reinit="finish_previous", **self._identity)
        run.define_metric("*", step_metric="epoch")
        if mode == "offline":
            log.info("wandb records offline; to upload: wandb sync %s", Path(run.dir).parent)
        return run


def read_metrics(output_dir: Path) -> list[dict[str, Any]]:
    """The records of ``metrics.jsonl``, oldest first; a last line that a kill cut short is left out.

    Raises:
        NasReidError: the file is missing, or a line before the last is not a record.
    """
    path = output_dir / METRICS_FILE
    try:
        lines = read_text(path).split("\n")
    except OSError as error:
        raise NasReidError(f"cannot read {path} ({error}); expected the metrics of a search or a retraining") from error
    records = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is empty or was cut short
        try:
            record = json.loads(line)
            _ = record["epoch"] < 0  # raises where the epoch is missing or not a number
        except (ValueError, TypeError, KeyError):
            raise NasReidError(f"{path}, line {number} is not a metrics record: {line[:80]!r}; "
                               "repair or delete that line") from None
        records.append(record)
    return records


def _append(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(content)


def plain_record(value: Any) -> Any:
    """A copy of JSON types only: tensors and arrays become lists, paths strings, NaN and infinities None."""
    if isinstance(value, Mapping):
        return {str(key): plain_record(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_record(item) for item in value]
    if hasattr(value, "tolist"):
        return plain_record(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
