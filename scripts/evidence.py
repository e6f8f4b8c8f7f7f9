"""What the searches of a space are worth, against drawing lots: make what is missing, count, draw, write the page.

    python scripts/evidence.py auto_reid             # docs/evidence.md; hours on two cores, and can be stopped
    python scripts/evidence.py auto_reid --quick     # a small version, ten minutes, into outputs/evidence/quick
    python scripts/evidence.py auto_reid --redraw    # the page and its pictures from the raw lines, nothing is trained
    python scripts/evidence.py auto_reid --variants  # other ways to search beside one another, on the people of tuning
    python scripts/evidence.py zigzag --plans FILE   # a space of yours, planned as in scripts/comparison/plans.toml

Raw lines and genotypes stay beside the page; what is there is not made again. Each step is a command of nas_reid, and
is logged as such. Exit code 1: a step failed.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from comparison.findings import read_findings
from comparison.page import section_lines, write_section
from comparison.pictures import draw
from comparison.plan import PLANS, read_plan
from comparison.runs import make
from comparison.variants import make_variants

from nas_reid.errors import NasReidError


def main(arguments: Sequence[str] | None = None) -> int:
    """Make, count, draw and write; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space")
    parser.add_argument("--quick", action="store_true", help="the plan's small version")
    parser.add_argument("--redraw", action="store_true", help="train nothing")
    parser.add_argument("--variants", action="store_true", help="make the plan's variants, nothing that is final")
    parser.add_argument("--plans", type=Path, default=PLANS, metavar="FILE", help="TOML file of plans")
    parser.add_argument("--output", type=Path, metavar="DIR", help="of the page; default docs, with --quick "
                                                                   "outputs/evidence/quick")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="trainings at once")
    given = parser.parse_args(arguments)
    output = given.output or Path("outputs/evidence/quick" if given.quick else "docs")
    folder, work = output / "evidence" / given.space, Path("outputs/evidence") / given.space
    try:
        plan = read_plan(given.space, given.plans, quick=given.quick)
        folder.mkdir(parents=True, exist_ok=True)
        if not given.redraw:
            (make_variants if given.variants else make)(
                plan, folder, folder / "runs" if given.output or given.quick else work, workers=given.workers)
        findings = read_findings(plan, folder)
        words = [word for word in (sys.argv[1:] if arguments is None else arguments)
                 if word not in ("--redraw", "--variants")]  # the command that makes the final rows
        command = shlex.join(["python", "scripts/evidence.py", *words])
        write_section(findings, output / "evidence.md", draw(findings, folder), command)
    except NasReidError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(section_lines(findings, command)), f"\n{output / 'evidence.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
