"""Look for someone: the images of a folder that are most like a query.

    python -m nas_reid.find checkpoint=outputs/retrain/.../checkpoints/best.pt query=IMAGE gallery=DIR
    python -m nas_reid.find checkpoint=... 'query=[a.jpg,b.jpg]' gallery=DIR k=20 csv=found.csv

Prints the ranked lists, and leaves found.png and found.csv in the run folder. The gallery's features are kept in the
cache: the next search extracts what is new there.
"""

if __name__ == "__main__":
    from nas_reid.run.door import enter
    enter("find")  # help needs none of the imports below

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from nas_reid.backbones.modality import MODALITIES
from nas_reid.config.deployment import FindConfig
from nas_reid.config.loading import load
from nas_reid.data.decoding import read_picture
from nas_reid.deploy.feature_extractor import FeatureExtractor, image_files
from nas_reid.deploy.gallery import Found, cached_features, nearest_images, require_readable
from nas_reid.drawing.found import draw_found
from nas_reid.errors import ConfigError, DataError
from nas_reid.evaluation.tables import write_table
from nas_reid.files.foreign import user_path
from nas_reid.network.execution import select_device
from nas_reid.run.command import command
from nas_reid.run.invocation import invocation

MOST_DRAWN = 20
"""Queries that are printed and drawn; the table has all."""
log = logging.getLogger("nas_reid.find")


@command("find")
def main(cfg: DictConfig) -> None:
    """Hydra's entry. The last line on standard output is a JSON object."""
    settings, folder = load(cfg, FindConfig), invocation().folder
    found, queries = run(settings, folder)
    sys.stdout.write(json.dumps({"found": str(folder / "found.csv"), "picture": str(folder / "found.png"),
                                 "queries": len(queries), "gallery": len(found.paths)}) + "\n")


def run(settings: FindConfig, folder: Path) -> tuple[Found, list[Path]]:
    """One search, written to ``folder``; returns what was found for which images."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    # What is looked for and where: a wrong path must not wait for the network.
    gallery = user_path(settings.gallery)
    if settings.csv and user_path(settings.csv).is_dir():
        raise ConfigError(f"csv={settings.csv} is a folder; expected the name of a file, which is written anew")
    queries, files = query_files(settings.query), image_files(gallery, key="gallery")
    extractor = FeatureExtractor(settings.checkpoint, device=select_device(settings.device), flip=settings.flip,
                                 batch_size=settings.batch_size, not_rgb=settings.not_rgb,
                                 modality=MODALITIES.index(settings.modality), runtime=settings.runtime)

    # Features, those of the gallery from the cache as far as they are there, and the nearest of them. The queries come
    # first: one that cannot be read must not wait for a large gallery.
    wanted = extractor(queries)
    known = cached_features(extractor, gallery, files, batch_size=settings.batch_size, cache=settings.cache)
    require_readable(known.failures, files, gallery, key="gallery", on_corrupt=settings.on_corrupt)
    found = nearest_images(wanted, torch.from_numpy(known.features), k=settings.k,
                           distance=settings.distance or extractor.distance, paths=known.paths,
                           own=themselves(queries, gallery, known.paths))

    # The table, the picture, and the lists on the screen.
    rows = list(table(found, queries))
    for path in [folder / "found.csv", *([user_path(settings.csv)] if settings.csv else [])]:
        write_table(path, rows)
    draw(found, queries[:MOST_DRAWN], gallery, folder / "found.png")
    sys.stdout.write("".join(f"{line}\n" for line in lines(rows)))
    log.info("searched %d images for %d: %s, %s", len(known.paths), len(queries), folder / "found.csv",
             folder / "found.png")
    return found, queries


def query_files(query: Any) -> list[Path]:
    """The image files that a query names: files, and all images of folders.

    Raises:
        DataError: something that is not there, or a folder without images.
    """
    files: list[Path] = []
    for path in map(user_path, query if isinstance(query, list) else [query]):
        if not path.exists():
            raise DataError(f"query={path} is not there; give an image, a folder, or a list: 'query=[a.jpg,b.jpg]'")
        files += image_files(path, key="query") if path.is_dir() else [path]
    return files


def themselves(queries: Sequence[Path], gallery: Path, paths: Sequence[str]) -> dict[int, int]:
    """Query -> the image of the gallery that it is: nobody looks for the picture in his hand."""
    places = {path: row for row, path in enumerate(paths)}
    base = gallery.resolve()
    found = {}
    for row, query in enumerate(queries):
        resolved = query.resolve()
        if resolved.is_relative_to(base) and (place := resolved.relative_to(base).as_posix()) in places:
            found[row] = places[place]
    return found


def table(found: Found, queries: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Query, rank from 1, path below the gallery, distance: a row for every image that was found."""
    for query, indices, distances in zip(queries, found.indices.tolist(), found.distances.tolist(), strict=True):
        for rank, (index, distance) in enumerate(zip(indices, distances, strict=True), start=1):
            if index >= 0:
                yield {"query": str(query), "rank": rank, "path": found.paths[index], "distance": distance}


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The ranked lists for a screen."""
    shown = list(dict.fromkeys(row["query"] for row in rows))
    for row in rows:
        if row["query"] not in shown[:MOST_DRAWN]:
            yield f"and {len(shown) - MOST_DRAWN} queries more, in the table"
            return
        if row["rank"] == 1:
            yield row["query"]
        yield f"{row['rank']:>5}  {row['distance']:8.4f}  {row['path']}"


def draw(found: Found, queries: Sequence[Path], gallery: Path, path: Path) -> None:
    """The ranked lists of some queries, ten images of each at most."""
    def pixels(file: Path) -> np.ndarray:
        """uint8 [H, W, 3] of a file."""
        return np.asarray(read_picture(file))

    strips = [[(pixels(gallery / found.paths[index]), found.paths[index], distance)
               for index, distance in zip(indices[:10], distances[:10], strict=True) if index >= 0]
              for indices, distances in zip(found.indices[:len(queries)].tolist(),
                                            found.distances[:len(queries)].tolist(), strict=True)]
    draw_found(path, [(pixels(query), query.as_posix()) for query in queries], strips)


if __name__ == "__main__":
    main()
