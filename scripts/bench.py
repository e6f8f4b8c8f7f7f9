"""Measure each fast form against its plain form, alternating in one process.

    python scripts/bench.py all                      # some twenty minutes on two CPU cores
    python scripts/bench.py step sampled --paper     # the papers' sizes, for a GPU
    python scripts/bench.py --markdown outputs/bench.json

Prints a table of ratios (the median of the rounds, the least and the most) and writes all rounds as JSON. Close
everything else before: what another program takes changes the two forms differently.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from benchmarks.convolutions import dilated
from benchmarks.counts import counts
from benchmarks.data import data
from benchmarks.evaluation import evaluation, reranking
from benchmarks.inference import inference
from benchmarks.measurement import Comparison, Setting, compare
from benchmarks.report import Report, cells, load_average
from benchmarks.steps import sampled, step, threads
from benchmarks.training import training
from tqdm import tqdm

from nas_reid.run.memory import keep_freed_memory

ITEMS: dict[str, Callable[[Setting], Iterator[Comparison]]] = {
    "step": step,
    "sampled": sampled,
    "threads": threads,
    "training": training,
    "dilated": dilated,
    "inference": inference,
    "data": data,
    "evaluation": evaluation,
    "reranking": reranking,
}
_ROUGH_SECONDS = {"step": 300, "sampled": 120, "threads": 30, "training": 60, "dilated": 5, "inference": 20,
                  "data": 60, "evaluation": 60, "reranking": 240}
"""Of two CPU cores, for the bar's time left."""


def main() -> None:
    """Measure, print and write; or print an earlier result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", nargs="*", default="all", choices=[*ITEMS, "all"], metavar="item",
                        help=f"{', '.join(ITEMS)} or all (the default)")
    parser.add_argument("--paper", action="store_true", help="the papers' sizes")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, default=Path("outputs/bench.json"), help="JSON file to write")
    parser.add_argument("--markdown", type=Path, metavar="JSON", help="print an earlier result and measure nothing")
    arguments = parser.parse_args()
    if arguments.markdown:
        print(Report.load_from(arguments.markdown).markdown())
        return
    items = list(ITEMS) if "all" in arguments.items else arguments.items
    keep_freed_memory()  # as commands do
    setting = Setting(arguments.paper, torch.device(arguments.device))
    report = Report.begin(" ".join(["python scripts/bench.py", *sys.argv[1:]]), setting.device)
    for done in measure(items, setting, report):
        report.save(arguments.output)
        tqdm.write(done)
        sys.stdout.flush()  # a log shows what is done, and keeps it
    print(f"\n{report.text()}\n\n{arguments.output}")


def measure(items: list[str], setting: Setting, report: Report) -> Iterator[str]:
    """All comparisons of the items, one after the other, into the report; yields a line for each that is done."""
    total = sum(_ROUGH_SECONDS[item] for item in items)
    with tqdm(total=total, desc="bench", unit="s", dynamic_ncols=True, leave=False,
              disable=not sys.stderr.isatty()) as bar:  # where nobody watches, the lines that are done are enough
        def tick(running: str) -> None:
            """The bar counts seconds, up to what the present item is expected to take."""
            bar.set_description(running, refresh=False)
            bar.update(max(0.0, min(bar.format_dict["elapsed"], limit) - bar.n))

        limit = 0.0
        for item in items:
            limit += _ROUGH_SECONDS[item]
            tick(item)
            if item == "step":
                report.counts = list(counts())
            report.results[item] = []
            for comparison in ITEMS[item](setting):
                report.results[item].append(compare(comparison, setting.device, tick))
                report.load[1:] = [load_average()]
                yield " | ".join(cells(report.results[item][-1]))
            if not report.results[item]:
                report.unavailable.append(item)
                yield f"{item}: not available yet"


if __name__ == "__main__":
    main()
