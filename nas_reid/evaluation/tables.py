"""Tables of a retrieval: a line per query, and a line per camera or pair of cameras."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas_reid.data.naming import Naming
from nas_reid.data.places import OWN_PLACE
from nas_reid.errors import DataError
from nas_reid.evaluation.distance import feature_distances
from nas_reid.evaluation.features import Embedded
from nas_reid.evaluation.ranking import Ranking, rank_blocks
from nas_reid.evaluation.retrieval import Retrieval
from nas_reid.files import write_atomically
from nas_reid.files.foreign import to_bytes

MOST_PAIRS = 1024
"""More pairs of cameras are not ranked one by one; some readers give every image a camera of its own."""
_NUMBERS = Naming()


def query_rows(ranking: Ranking, query: Embedded, paths: Sequence[str],
               variants: Mapping[str, Ranking], *, naming: Naming = _NUMBERS) -> Iterator[dict[str, Any]]:
    """Path, pid, camera, AP, INP and rank of the first match of every query; None where it was skipped.

    People who have names are called by them too (``person``), cameras by nothing else.

    Args:
        ranking: plain.
        query: the queries.
        paths: [N_q].
        variants: name -> another ranking, whose AP is added as ``AP_<name>``.
        naming: of people and cameras.
    """
    aps = {"AP": ranking.ap, "INP": ranking.inp, **{f"AP_{name}": other.ap for name, other in variants.items()}}
    columns = [query.pids.tolist(), query.camids.tolist(), ranking.first_hit.tolist(), ranking.valid.tolist(),
               *(values.tolist() for values in aps.values())]
    for path, pid, camid, first, valid, *values in zip(paths, *columns, strict=True):
        person = {"person": naming.people.get(pid)} if naming.people else {}
        yield {"path": path, "pid": pid, **person, "camera": naming.camera(camid),
               "first_match": first if valid else None,
               **{name: value if valid else None for name, value in zip(aps, values, strict=True)}}


def camera_rows(ranking: Ranking, query: Embedded, *, naming: Naming = _NUMBERS) -> Iterator[dict[str, Any]]:
    """The metrics over the queries of each camera, against the whole gallery; of all where there are no cameras."""
    if (query.camids >= OWN_PLACE).any():
        yield _camera_row("all", "all", ranking, torch.ones_like(ranking.valid))
        return
    for camid in query.camids.unique().tolist():
        yield _camera_row(naming.camera(camid), "all", ranking, query.camids == camid)


def camera_pair_rows(retrieval: Retrieval, *, distance: str, naming: Naming = _NUMBERS) -> Iterator[dict[str, Any]]:
    """The metrics of the queries of one camera against the gallery of one camera, for every pair with a match.

    None at all when there are more than ``MOST_PAIRS`` pairs, or no cameras.

    Args:
        retrieval: its two lists are ranked anew.
        distance: a name of ``distance.DISTANCES``.
        naming: see ``query_rows``.
    """
    query, gallery = (side[side.camids.argsort(stable=True)] for side in (retrieval.query, retrieval.gallery))
    distances = feature_distances(query.features, gallery.features, distance=distance)
    runs = [list(_runs(side.camids)) for side in (query, gallery)]
    if (query.camids >= OWN_PLACE).any() or len(runs[0]) * len(runs[1]) > MOST_PAIRS:
        return
    for (camid, rows), (other, columns) in product(*runs):
        try:
            ranking = rank_blocks(distances.part(rows, columns), query_pids=query.pids[rows],
                                  query_camids=query.camids[rows], gallery_pids=gallery.pids[columns],
                                  gallery_camids=gallery.camids[columns], junk=retrieval.junk)
        except DataError:  # nobody to find, as in the query's own camera
            continue
        yield _camera_row(naming.camera(camid), naming.camera(other), ranking, torch.ones_like(ranking.valid))


def write_tables(retrieval: Retrieval, paths: Sequence[str], folder: Path, *, pairs: Sequence[Mapping[str, Any]] = (),
                 suffix: str = "", naming: Naming = _NUMBERS) -> None:
    """``queries.csv`` and ``cameras.csv``; people and cameras are called as the data set does.

    Args:
        retrieval: what was evaluated; of several trials the first.
        paths: of the query list that was evaluated, or that the trial's positions are in.
        folder: of the files.
        pairs: rows of ``camera_pair_rows``, to follow those against the whole gallery.
        suffix: of the file names, to tell data sets apart.
        naming: see ``query_rows``.
    """
    if retrieval.trial:
        paths = [paths[position] for position in retrieval.trial.query]
    rows = query_rows(retrieval.ranking, retrieval.query, paths, retrieval.variants, naming=naming)
    write_table(folder / f"queries{suffix}.csv", list(rows))
    cameras = camera_rows(retrieval.ranking, retrieval.query, naming=naming)
    write_table(folder / f"cameras{suffix}.csv", [*cameras, *pairs])


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of equal keys as CSV with a head line; None is an empty field."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, to_bytes(text.getvalue()))


def _camera_row(camera: int | str | None, other: int | str | None, ranking: Ranking, chosen: Tensor) -> dict[str, Any]:
    """A row over the chosen queries, bool [N_q]; its metrics are None where all of them were skipped."""
    scored = chosen & ranking.valid
    values = {"rank1": (ranking.first_hit == 1).double(), "mAP": ranking.ap, "mINP": ranking.inp}
    return {"query_camera": camera, "gallery_camera": other, "queries": int(chosen.sum()),
            "skipped": int((chosen & ~ranking.valid).sum()),
            **{name: float(value[scored].mean()) if scored.any() else None for name, value in values.items()}}


def _runs(cameras: Tensor) -> Iterator[tuple[int, slice]]:
    """Each camera of a sorted list, and where it is."""
    names, counts = cameras.unique_consecutive(return_counts=True)
    stops = counts.cumsum(0).tolist()
    for name, count, stop in zip(names.tolist(), counts.tolist(), stops, strict=True):
        yield name, slice(stop - count, stop)
