"""Any images that a table lists: a CSV file with the columns path and pid, and whatever else it knows."""

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from nas_reid.data.places import OWN_PLACE, has_no_cameras, with_lists
from nas_reid.data.readers.accents import as_the_folder_spells
from nas_reid.data.readers.listing import absent_images
from nas_reid.data.readers.options import SEEDS, check_option
from nas_reid.data.sample import Dataset, MadeSplit, Sample
from nas_reid.data.table.boxes import clipped, require_inside
from nas_reid.data.table.cells import Cameras, boxes, cameras, identities, modalities, nearly_alike, sequences
from nas_reid.data.table.columns import COLUMNS, Table, read_table
from nas_reid.data.table.parts import Draw, Parts, parts_of
from nas_reid.data.test_lists import as_test, in_order
from nas_reid.errors import ConfigError, DataError, some
from nas_reid.files import write_atomically
from nas_reid.files.foreign import to_bytes, user_path
from nas_reid.seed import derive_seed

ABSENT = ("error", "skip")
"""What may be done about images that the table lists and the folder lacks."""


def read_table_of_images(root: Path, *, table: str | None = None, columns: Any = None, ignore: Any = (),
                         split_seed: int = 0, test_fraction: float = 0.5, folds: int | None = None, fold: int = 0,
                         clip_boxes: bool = False, absent: str = "error") -> Dataset:
    """Read a table, one image in a row.

    Rows without a known identity, and junk (pid -1), are left out. Where the table has no split, identities are
    divided, and queries chosen, from ``split_seed``. Where it names no cameras, every other image of a person is a
    match (see ``nas_reid.data.places``), and a person with one image is a distractor of the test.

    Args:
        root: folder that the paths are relative to.
        table: the file.
        columns: column of ``table.columns.COLUMNS`` -> what this table calls it.
        ignore: further columns to pass over, known ones too.
        split_seed, test_fraction, folds, fold: see ``table.parts.Draw``.
        clip_boxes: cut off what a box has outside its picture; every picture's size is read for it.
        absent: "error", or "skip" to leave out rows whose image is not there.

    Raises:
        ConfigError: an option out of range, or that names a column there is not.
        DataError: the table or a picture is not what it should be; see ``nas_reid.data.table``.
    """
    if table is None:
        raise ConfigError("data.reader=table needs data.table=FILE.csv, with the columns path and pid")
    if (not isinstance(columns or {}, Mapping) or isinstance(ignore, str) or not isinstance(ignore or (), Collection)
            or not all(isinstance(name, str) for name in (*(columns or {}).values(), *(ignore or ())))):
        raise ConfigError(f"data.options.columns={columns} and .ignore={ignore}: expected {{pid: NAME}} and "
                          "[NAME,NAME]")
    check_option("split_seed", split_seed, SEEDS)
    check_option("absent", absent, ABSENT)
    check_option("clip_boxes", clip_boxes, (False, True))
    if not root.is_dir():
        raise DataError(f"data.root={root} is {'a file' if root.exists() else 'not there'}; expected the folder that "
                        f"the paths in {table} begin in")
    draw = Draw(split_seed, test_fraction, folds, fold)
    rows = read_table(user_path(table), columns=columns or {}, ignore=ignore or ())
    samples, names, seen = _samples(root, rows, clip_boxes=clip_boxes)
    pids = np.array([sample.pid for sample in samples])
    _require_once(rows, samples, [sample for sample in samples if sample.pid >= 0])
    parts = parts_of(rows, pids, draw)
    used = parts.train | parts.query | parts.gallery | parts.test
    warnings = list(_left_out(rows, pids, parts))
    listed = [samples[row] for row in np.flatnonzero(used).tolist()]
    gone = set(absent_images(root, listed))
    if spelt := as_the_folder_spells(root, gone):
        samples = [replace(sample, path=spelt.get(sample.path, sample.path)) for sample in samples]
        warnings.append(f"{len(spelt):,} paths spell their accents otherwise than the folder does (Unicode NFC, NFD), "
                        "whose spelling is taken")
    if gone := gone - spelt.keys():
        if absent == "error":
            raise DataError(f"{rows.file} lists {len(listed):,} images, of which {len(gone):,} are not below {root}: "
                            f"{some(sorted(gone))}; {_cure(gone)}, or leave these rows out with "
                            "data.options.absent=skip")
        warnings.append(f"left out {len(gone):,} images that are not there: {some(sorted(gone))}")
        parts = parts.without(np.array([sample.path in gone for sample in samples]))
    return _dataset(root, rows, samples, parts, draw, Dataset("table", root, (), (), (), tuple(warnings),
                                                              first_camera=seen.first, camera_names=seen.names,
                                                              names=names))


def _cure(absent: Collection[str]) -> str:
    """What to do about paths at which nothing is."""
    if any("\udc80" <= letter <= "\udcff" for path in absent for letter in path):  # see ``files.foreign``
        return ("the table is not UTF-8, so that letters such as é were not understood: save it anew as CSV UTF-8 (a "
                "choice of its own in Excel)")
    return "set data.root= to the folder that the paths begin in"


def _samples(root: Path, table: Table, *, clip_boxes: bool) -> tuple[list[Sample], dict[int, str], Cameras]:
    """An image for every row, the names of the identities, and the cameras.

    Images of unknown cameras are at places of their own, or of their sequences.
    """
    pids, names = identities(table)
    paths = [_inside(root, path) for path in table.cells["path"]]
    if "" in paths:
        raise DataError(f"{table.at(paths.index(''))}: no {table.named['path']}; name the image, or remove the row")
    parts, track, seen = boxes(table), sequences(table), cameras(table)
    if clip_boxes:
        parts = clipped(table, parts, root, paths)
    else:
        require_inside(table, parts)
    if seen is None:
        free = count(OWN_PLACE + 1 + max(track))
        seen = Cameras([OWN_PLACE + number if number >= 0 else next(free) if pid >= 0 else 0
                        for pid, number in zip(pids, track, strict=True)], 1, {})
    samples = list(map(Sample, paths, pids, seen.camids, modalities(table), parts, track))
    same = all(name == str(number) for number, name in names.items())
    return samples, {} if same else names, seen


def _inside(root: Path, path: str) -> str:
    """A path relative to ``root``, with slashes; absolute ones elsewhere stay."""
    if "\\" in path:
        path = PureWindowsPath(path).as_posix()
    if path.startswith("/"):
        return path.removeprefix(f"{root.absolute().as_posix().rstrip('/')}/")
    return path.removeprefix("./")


def _require_once(table: Table, samples: Sequence[Sample], listed: Sequence[Sample]) -> None:
    """Check that no two rows name the same part of the same picture."""
    if len({(sample.path, sample.box) for sample in listed}) == len(listed):
        return
    used, first, twice = set(listed), dict[str, int](), []
    for row, sample in enumerate(samples):
        if sample in used and first.setdefault(sample.name, row) != row:
            twice.append((first[sample.name], row))
    before, row = twice[0]
    same = table.cells["pid"][before] == table.cells["pid"][row]
    raise DataError(f"{table.file}: {len(twice):,} rows repeat an image, such as {samples[row].name} in lines "
                    f"{table.lines[before]} and {table.lines[row]}, "
                    + (f"both times as {table.cells['pid'][row]}" if same else
                       f"as {table.cells['pid'][before]} and as {table.cells['pid'][row]}")
                    + "; leave one row for each image, or give boxes where a picture shows several people")


def _left_out(table: Table, pids: np.ndarray, parts: Parts) -> Iterator[str]:
    """What is not used of the table, and why."""
    if table.passed_over:
        yield f"passed over the columns {', '.join(map(repr, table.passed_over))} of {table.file}"
    if junk := int((pids < 0).sum()):
        yield (f"left out {junk:,} rows without a known identity (empty, unknown, or junk: pid -1), such as "
               f"{table.cells['path'][int((pids < 0).argmax())]}")
    if alike := nearly_alike(table):
        yield (f"{len(alike):,} identities have nearly the name of another, such as {alike[0][1]!r} and "
               f"{alike[0][0]!r}: they count as different people")
    distractors = pids == 0
    if parts.drawn and distractors.any():
        yield (f"{int(distractors.sum()):,} rows have pid 0, which is a distractor whom no query looks for; if 0 is a "
               "person here, number people from 1 or call the column label")
    if misplaced := int((distractors & (parts.train | parts.query)).sum()):
        yield (f"left out {misplaced:,} rows of pid 0 from training and queries: it means a distractor and belongs in "
               "the gallery; number identities from 1")


def _dataset(root: Path, table: Table, samples: Sequence[Sample], parts: Parts, draw: Draw, empty: Dataset) -> Dataset:
    """The lists, with queries chosen where the table does not name them."""
    def chosen(part: np.ndarray, *, least: int) -> list[Sample]:
        """The samples of a part, bool [rows], whose identity is at least ``least``."""
        return in_order(sample for sample in map(samples.__getitem__, np.flatnonzero(part).tolist())
                        if sample.pid >= least)

    train, query, gallery = (chosen(parts.train, least=1), chosen(parts.query, least=1),
                             chosen(parts.gallery, least=0))
    official = frozenset(sample.pid for sample in chosen(parts.validation, least=1))
    made = None
    if parts.test.any():
        rng = np.random.default_rng(derive_seed(draw.seed, "queries of a table"))
        query, gallery = as_test(chosen(parts.test, least=0), rng)
        made = MadeSplit(_says(table, parts, draw, (train, query, gallery)),
                         partial(_write, table, parts, samples, frozenset(query), frozenset(gallery)))
    found = replace(empty, train=tuple(train), validation_pids=official, made_split=made,
                    warnings=(*empty.warnings, *_unanswered(query, gallery)))
    return with_lists(found, query, gallery)


def _says(table: Table, parts: Parts, draw: Draw, lists: Sequence[Sequence[Sample]]) -> str:
    train, query, gallery = lists
    tested = {sample.pid for sample in (*query, *gallery) if sample.pid > 0}
    lonely = len(tested - {sample.pid for sample in query})
    second = "second image" if has_no_cameras(gallery) else "image in a second camera"
    what = (f"{table.file} names no split: one was made by identity from {draw}" if parts.drawn else
            f"{table.file} names no queries: they were chosen from seed {draw.seed}")
    return (f"{what}; {len(train):,} images of {len({sample.pid for sample in train}):,} identities to train on, "
            f"{len(query):,} queries and {len(gallery):,} gallery images of {len(tested):,} others"
            + (f", {lonely:,} of whom have no {second} to find and are distractors" if lonely else "")
            + ("" if query or not gallery or has_no_cameras(gallery) else
               ". To let every other image of a person count: evaluation.protocol=same_camera_allowed (of inspect: "
               f"protocol=), or pass over the cameras with 'data.options.ignore=[{table.named['camid']}]'"))


def _unanswered(query: Sequence[Sample], gallery: Sequence[Sample]) -> Iterator[str]:
    places: dict[int, set[int]] = {}
    for sample in gallery:
        places.setdefault(sample.pid, set()).add(sample.camid)
    if lonely := sum(not places.get(sample.pid, set()) - {sample.camid} for sample in query):
        where = "in the gallery" if has_no_cameras(query) else "from another camera in the gallery"
        yield (f"{lonely:,} of {len(query):,} queries have no other image of their person {where}: an evaluation skips "
               "them")


def _write(table: Table, parts: Parts, samples: Sequence[Sample], query: Collection[Sample],
           gallery: Collection[Sample], path: Path) -> None:
    """The table with the columns split, is_query and is_gallery, without the rows that were left out.

    Where no image can be a query, the latter two are left to whom the file is given: they may pass over cameras.
    """
    columns = [column for column in table.cells if column not in ("split", "is_query", "is_gallery")]
    head = [table.named[column] if table.named[column].lower() in (column, *COLUMNS[column]) else
            "identity" if column == "pid" else column for column in columns]
    tested = "test" if parts.validation.any() else "validation"
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    flags = ["is_query", "is_gallery"] if query else []
    writer.writerow([*head, "split", *flags])
    for row, sample in enumerate(samples):
        marks: list[Any] = []
        if parts.train[row]:
            marks = ["validation" if parts.validation[row] else "train", *("" for _ in flags)]
        elif parts.test[row]:
            marks = [tested, *([sample in query, sample in gallery] if flags else [])]
        if marks:
            writer.writerow([*(table.cells[column][row] for column in columns), *marks])
    write_atomically(path, to_bytes(text.getvalue()))
