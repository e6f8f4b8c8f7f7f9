"""Turn a genotype file of CM-NAS, one line of 53 integers, into a genotype of ours.

    python scripts/import_norm_sites.py genotype.txt norm_sites.json
    python -m nas_reid.retrain genotype=norm_sites.json data=sysu_mm01 data.root=DIR
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nas_reid.errors import GenotypeError, NasReidError
from search_spaces.norm_sites.importing import from_integers


def convert(source: Path, target: Path, *, depth: int) -> int:
    """Write the genotype; returns how many of its sites are split.

    Raises:
        GenotypeError: no such file, or not zeros and ones for every norm site.
    """
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GenotypeError(f"cannot read {source}: {error}") from None
    genotype = from_integers(text, arguments={"depth": depth, "width": 1.0, "last_stride": 1}, origin=source.name)
    genotype.save(target)
    return list(genotype.body.values()).count("split")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--depth", type=int, default=50, help="of the ResNet: 18, 34 or 50")
    given = parser.parse_args(arguments)
    try:
        split = convert(given.source, given.target, depth=given.depth)
    except NasReidError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{given.target}: {split} sites are split\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
