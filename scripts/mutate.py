"""Break chosen lines one after the other and see whether the tests notice: a test that passes whatever the code does is
worth nothing.

    python scripts/mutate.py                    # all mutants of scripts/mutants.toml: half an hour on two CPU cores
    python scripts/mutate.py splits search      # those whose file or number is named

Each mutant is made in a copy of the project, and its own tests are run there. It is killed if they fail; the table says
which survive, and the exit code is 1 if any does. Before that the tests are run once on the code as it is.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("nas_reid", "search_spaces", "conf", "scripts", "tests", "docs", "pyproject.toml", "README.md")
PASSED, FAILED = 0, 1  # exit codes of pytest; any other says that the tests could not be run
OUTDATED = -1  # the line that is to be replaced does not occur exactly once any more
WORDS = {PASSED: "SURVIVED", FAILED: "killed", OUTDATED: "OUTDATED"}


@dataclass(frozen=True)
class Mutant:
    """A line and what it is replaced by.

    Args:
        number: its place in the list, from 1.
        file: below the project.
        old: occurs in the file exactly once.
        new: takes its place.
        tests: arguments of pytest, such as files, nodes and ``-k``.
    """

    number: int
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.number:2d} {self.file}: {self.old} → {self.new}"


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", help="parts of file names, or numbers; default: all mutants")
    parser.add_argument("--list", type=Path, default=ROOT / "scripts" / "mutants.toml", help="TOML file of the mutants")
    parser.add_argument("--unchecked", action="store_true", help="do not run the tests on the code as it is before")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in read_mutants(arguments.list) if is_meant(mutant, arguments.only)]
    survivors = []
    with copied() as folder:
        if not arguments.unchecked and (outcome := run_tests(folder, tests_of(mutants))) != PASSED:
            print(f"the tests do not pass on the code as it is: pytest ends with {outcome}", file=sys.stderr)
            return 2
        for mutant in tqdm(mutants, unit="mutant", dynamic_ncols=True):
            outcome = try_out(mutant, folder)
            tqdm.write(f"{WORDS.get(outcome, 'BROKEN'):8s} {mutant}")
            survivors += [] if outcome == FAILED else [mutant]
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants killed")
    return 1 if survivors else 0


def read_mutants(path: Path) -> list[Mutant]:
    """The mutants of a TOML file: tables ``[[file."<path>"]]`` with ``old``, ``new`` and ``tests``."""
    files = tomllib.loads(path.read_text(encoding="utf-8"))["file"]
    entries = [(file, entry) for file, own in files.items() for entry in own]
    return [Mutant(number, file, entry["old"], entry["new"], tuple(entry["tests"]))
            for number, (file, entry) in enumerate(entries, start=1)]


def is_meant(mutant: Mutant, only: Sequence[str]) -> bool:
    """Whether the command line names this one."""
    return not only or any(word == str(mutant.number) or (not word.isdigit() and word in mutant.file) for word in only)


def tests_of(mutants: Sequence[Mutant]) -> list[str]:
    """The files of all mutants' tests, each once."""
    return sorted({test.partition("::")[0] for mutant in mutants for test in mutant.tests if test.startswith("tests/")})


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the project that mutants may spoil."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in COPIED:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, folder / part)
        yield folder


def try_out(mutant: Mutant, folder: Path) -> int:
    """pytest's exit code on the mutant, or ``OUTDATED``; afterwards the copy is as it was."""
    path = folder / mutant.file
    content = path.read_text(encoding="utf-8")
    if content.count(mutant.old) != 1:
        return OUTDATED
    path.write_text(content.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return run_tests(folder, mutant.tests)
    finally:
        path.write_text(content, encoding="utf-8")


def run_tests(folder: Path, tests: Sequence[str]) -> int:
    """pytest's exit code; only the copy is imported, without bytecode, which is told apart by seconds."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "WANDB_MODE": "disabled",
                                "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
