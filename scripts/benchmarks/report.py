"""What was measured, as a table for a terminal, as Markdown, and as JSON."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.counts import Count
from benchmarks.measurement import Measured

_HEADER = ["what", "plain form", "ours", "ratio (least to most)", "peak memory, plain / ours", "asked"]
_COUNT_HEADER = ["dispatched ops and saved bytes", "plain", "fused", "ratio", "asked"]


@dataclass
class Report:
    """All that a run of ``bench.py`` leaves.

    Args:
        command: what was typed.
        hardware, versions: where it ran.
        date: UTC.
        load: the machine's load average (one minute) before and after; 0 on an idle machine.
        results: item -> measurements.
        counts: on the meta device.
        unavailable: items that cannot be measured yet.
    """

    command: str
    hardware: str
    versions: str
    date: str
    load: list[float]
    results: dict[str, list[Measured]] = field(default_factory=dict)
    counts: list[Count] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, command: str, device: torch.device) -> "Report":
        """An empty report of now and here."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
        versions = f"Python {platform.python_version()}, torch {torch.__version__}"
        return cls(command, _hardware(device), versions, now, [load_average()])

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load_from(cls, path: Path) -> "Report":
        """Read what ``save`` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        content["results"] = {item: [Measured(**each) for each in results]
                              for item, results in content["results"].items()}
        content["counts"] = [Count(**each) for each in content["counts"]]
        return cls(**content)

    def markdown(self) -> str:
        """All tables, with hardware, date and command."""
        lines = [f"{self.hardware}; {self.versions}; {self.date} UTC; load average {self.load[0]:.1f} before and "
                 f"{self.load[-1]:.1f} after.", "", f"    {self.command}", ""]
        rows = [row for results in self.results.values() for row in map(cells, results)]
        for header, table in ((_HEADER, rows), (_COUNT_HEADER, list(map(_count_cells, self.counts)))):
            if table:
                lines += [_line(header), _line(["---"] * len(header)), *map(_line, table), ""]
        forms = {result.name: result.plain_form for results in self.results.values() for result in results}
        lines += [f"- {name}: the plain form is {form}." for name, form in forms.items() if form]
        lines += [f"- {item}: not available yet." for item in self.unavailable]
        return "\n".join(lines)

    def text(self) -> str:
        """The same tables with aligned columns."""
        rows = [row for results in self.results.values() for row in map(cells, results)]
        tables = ((_HEADER, rows), (_COUNT_HEADER, list(map(_count_cells, self.counts))))
        return "\n\n".join(_aligned([header, *table]) for header, table in tables if table)


def cells(measured: Measured) -> list[str]:
    """A row of the table."""
    ratios = measured.ratios()
    ratio = f"{statistics.median(ratios):.2f}× ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else "–"
    memory = " / ".join(_bytes(measured.peak_bytes.get(form)) for form in ("plain", "ours"))
    plain = _seconds(measured.median_seconds("plain")) if ratios else "–"
    return [measured.name, plain, _seconds(measured.median_seconds("ours")), ratio, memory, measured.asked or "–"]


def load_average() -> float:
    """Of the last minute; NaN where the system does not tell."""
    with suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return float("nan")


def _count_cells(count: Count) -> list[str]:
    pairs = list(zip(count.ops, count.gib, strict=True))
    plain, fused = (f"{ops:,}; {gib:.2f} GiB" for ops, gib in pairs)
    ratio = f"{count.ops[0] / count.ops[1]:.2f}×; {count.gib[0] / count.gib[1]:.2f}×"
    asked = "–" if count.most_ops is None else f"≤ {count.most_ops:,}; ≤ {count.most_gib} GiB"
    return [count.name, plain, fused, ratio, asked]


def _seconds(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s" if value < 100 else f"{value:.0f} s"


def _bytes(value: int | None) -> str:
    if value is None:
        return "–"
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def _hardware(device: torch.device) -> str:
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")]
        processor = models[0] if models else processor
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    return f"{os.cpu_count()} CPU cores, {processor}, {torch.get_num_threads()} threads, {gpu}"


def _line(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)
