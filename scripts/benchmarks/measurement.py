"""Our form of something against its plain form: alternating in one process, seconds and peak memory of both."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Setting:
    """What is measured where.

    Args:
        paper: the sizes of the papers, for a GPU; else those for a laptop's CPU.
        device: what the networks, the batches and the evaluation run on.
    """

    paper: bool
    device: torch.device


@dataclass(frozen=True)
class Comparison:
    """Two forms of one thing, ready to run.

    Args:
        name: what is measured, with its sizes.
        ours: runs our form once.
        plain: runs the plain form once; None where it would not fit or does not exist.
        plain_form: what the plain form is.
        asked: the number it must reach, in words.
        rounds: how often both are run.
        warm_up: run both once before, for their memory; else the first round shows it.
        plain_elsewhere: the plain form runs in a process of its own, whose memory is not seen from here.
    """

    name: str
    ours: Callable[[], object]
    plain: Callable[[], object] | None = None
    plain_form: str = ""
    asked: str = ""
    rounds: int = 5
    warm_up: bool = True
    plain_elsewhere: bool = False


@dataclass
class Measured:
    """What a ``Comparison`` gave.

    Args:
        name, plain_form, asked: of the comparison.
        seconds: form (``plain``, ``ours``) -> seconds of each round.
        peak_bytes: form -> largest memory beyond that at the start; absent where the system does not tell.
    """

    name: str
    plain_form: str
    asked: str
    seconds: dict[str, list[float]]
    peak_bytes: dict[str, int] = field(default_factory=dict)

    def ratios(self) -> list[float]:
        """Plain seconds / our seconds of each round; empty without a plain form."""
        return [plain / ours for plain, ours in zip(self.seconds.get("plain", []), self.seconds["ours"], strict=False)]

    def median_seconds(self, form: str) -> float:
        """The median round of a form."""
        return statistics.median(self.seconds[form])


def compare(comparison: Comparison, device: torch.device, tick: Callable[[str], None]) -> Measured:
    """Run both forms in turn, the first one changing from round to round; ``tick`` is told before each run."""
    forms = {"plain": comparison.plain, "ours": comparison.ours}
    works = [(name, work) for name, work in forms.items() if work is not None]
    measured = Measured(comparison.name, comparison.plain_form, comparison.asked, {name: [] for name, _ in works})
    for turn in range(-comparison.warm_up, comparison.rounds):
        is_first = turn == -comparison.warm_up
        for name, work in works if turn % 2 == 0 else works[::-1]:
            tick(f"{comparison.name}: {name}, " + (f"round {turn + 1}/{comparison.rounds}" if turn >= 0 else "warm-up"))
            start = _start_of_memory(device) if is_first else 0
            seconds = timed(work, device)
            is_seen = name == "ours" or not comparison.plain_elsewhere
            if is_first and is_seen and (peak := _peak_of_memory(device)) is not None:
                measured.peak_bytes[name] = peak - start
            if turn >= 0:
                measured.seconds[name].append(seconds)
    return measured


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that a run takes, until the device has finished."""
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _start_of_memory(device: torch.device) -> int:
    """Forget earlier peaks; bytes in use now."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what an earlier run freed must not hide what this one takes
    with suppress(OSError):
        _CLEAR.write_text("5")  # Linux: the peak starts anew
    return _status("VmRSS") or 0


def _peak_of_memory(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _status("VmHWM")


def _status(key: str) -> int | None:
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return None
