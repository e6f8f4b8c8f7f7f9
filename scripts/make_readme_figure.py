"""The README's figure, from a finished search and the retraining of its genotype.

    python scripts/make_readme_figure.py outputs/search/auto_reid/<time> outputs/retrain/<time> docs/overview.png

Above: the supernet with its weights, and the genotype derived from it. Below: ranked lists of some test queries.
"""

import argparse
from pathlib import Path

from PIL import Image

WIDTH = 1200
ROWS = 2


def main() -> None:
    """Compose the pictures that the two runs left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("search", type=Path, help="folder of a search")
    parser.add_argument("retrain", type=Path, help="folder of a retraining")
    parser.add_argument("output", type=Path, help="PNG to write")
    arguments = parser.parse_args()
    lists = Image.open(arguments.retrain / "pictures" / "ranked_lists.png").convert("RGB")
    strip = lists.height // 10  # ten queries, the five worst first
    parts = [Image.open(arguments.search / "pictures" / name).convert("RGB") for name in ("supernet.png", "cells.png")]
    parts.append(lists.crop((0, 5 * strip, lists.width, (5 + ROWS) * strip)))
    parts = [part.resize((WIDTH, round(part.height * WIDTH / part.width)), Image.Resampling.LANCZOS) for part in parts]
    sheet = Image.new("RGB", (WIDTH, sum(part.height for part in parts)), "white")
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(arguments.output, optimize=True)


if __name__ == "__main__":
    main()
