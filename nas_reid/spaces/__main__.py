"""List the search spaces that can be searched here, or write the files of a new one.

    python -m nas_reid.spaces
    python -m nas_reid.spaces new <name> [--into DIR]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nas_reid.errors import NasReidError
from nas_reid.spaces.listing import table
from nas_reid.spaces.writing import write_space


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry of ``nas-reid-spaces``; returns the exit code.

    Args:
        arguments: of the command line; None: those of the process.
    """
    parser = argparse.ArgumentParser(prog="nas-reid-spaces", description="List the search spaces, or begin a new one.")
    new = parser.add_subparsers(dest="action").add_parser("new", help="write the files of a working space")
    new.add_argument("name", help="lower-case letters, digits and underscores")
    new.add_argument("--into", type=Path, default=Path(), help="folder that gets a folder of that name (default: here)")
    given = parser.parse_args(arguments)
    if given.action is None:
        sys.stdout.write(table() + "\n")
        return 0
    try:
        folder = write_space(given.name, given.into)
    except NasReidError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(f"{folder}: a search space of its own. Next:\n  pip install -e {folder}\n  pytest {folder}\n"
                     f"  python -m nas_reid.search space={given.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
