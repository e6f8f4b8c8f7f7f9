"""Draw a contact sheet of a data set: one row per identity, one column per camera.

    python scripts/contact_sheet.py path/to/Market-1501-v15.09.15 sheet.png
    python scripts/contact_sheet.py path/to/folder sheet.png --reader folder --identities 20
    python scripts/contact_sheet.py path/to/drawn/set sheet.png --reader sysu_mm01 --masks
"""

import argparse
from functools import partial
from pathlib import Path

from PIL import Image

from nas_reid.data.decoding import read_picture
from nas_reid.data.readers import READERS, read_dataset
from nas_reid.data.sample import Dataset
from nas_reid.data.synthetic.masks import part_masks
from nas_reid.drawing.contact_sheet import contact_sheet
from nas_reid.drawing.part_overlay import part_overlay
from nas_reid.drawing.picture_file import write_picture


def main() -> None:
    """Write the picture and print its path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of the data set")
    parser.add_argument("output", type=Path, help="picture to write (PNG)")
    parser.add_argument("--reader", default="market1501", choices=sorted(READERS))
    parser.add_argument("--identities", type=int, default=12, help="rows, spread evenly over all identities")
    parser.add_argument("--masks", action="store_true", help="colour the parts of drawn pedestrians")
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.reader, arguments.root)
    rows, columns = grid(dataset, arguments.identities)
    read = partial(overlaid, dataset.root) if arguments.masks else read_picture
    sheet = contact_sheet({label: [None if path is None else read(path) for path in paths]
                           for label, paths in rows.items()}, columns)
    write_picture(arguments.output, lambda buffer: sheet.save(buffer, "PNG"))
    print(arguments.output)


def grid(dataset: Dataset, identities: int) -> tuple[dict[str, list[Path | None]], list[str]]:
    """Rows and columns of the sheet: the first image of every chosen identity in every camera."""
    samples = [sample for sample in dataset.train + dataset.query + dataset.gallery if sample.pid > 0]
    first = {(sample.pid, sample.camid): dataset.root / sample.path for sample in reversed(samples)}
    pids, cameras = sorted({pid for pid, _ in first}), sorted({camera for _, camera in first})
    count = max(min(identities, len(pids)), 1)
    chosen = [pids[i * len(pids) // count] for i in range(count)]
    rows = {f"{pid:04d}": [first.get((pid, camera)) for camera in cameras] for pid in chosen}
    return rows, [f"camera {camera + dataset.first_camera}" for camera in cameras]


def overlaid(root: Path, path: Path) -> Image.Image:
    """A drawn image with its parts in colours."""
    return part_overlay(read_picture(path), part_masks(root, [path.relative_to(root).as_posix()])[0])


if __name__ == "__main__":
    main()
