"""Which rows of a table are trained on, query, or are searched; made by identity where the table does not say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nas_reid.data.table.cells import flags, splits
from nas_reid.data.table.columns import Table
from nas_reid.errors import ConfigError, DataError
from nas_reid.seed import derive_seed

Mask = np.ndarray
"""bool [N]."""
_MARKS = {"gallery": "are searched (is_gallery=true or split=gallery)",
          "query": "look for others (is_query=true or split=query)"}


@dataclass(frozen=True)
class Draw:
    """How identities are divided where the table does not divide them.

    Args:
        seed: of the draw.
        test_fraction: share of the identities that are tested on; unused with folds.
        folds: divide the identities into so many parts of equal size, of which one is tested on.
        fold: which one, from 0.

    Raises:
        ConfigError: a value out of range.
    """

    seed: int
    test_fraction: float
    folds: int | None
    fold: int

    def __post_init__(self) -> None:
        for name, kinds, what in (("test_fraction", int | float, "a number"), ("folds", int | None, "a whole number"),
                                  ("fold", int, "a whole number")):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise ConfigError(f"data.options.{name}={value!r} must be {what}")
        if not 0 < self.test_fraction < 1:
            raise ConfigError(f"data.options.test_fraction={self.test_fraction} must lie strictly between 0 and 1")
        if self.folds is not None and self.folds < 2:
            raise ConfigError(f"data.options.folds={self.folds} must be at least 2, or null for test_fraction")
        if not 0 <= self.fold < (self.folds or 1):
            raise ConfigError(f"data.options.fold={self.fold} must be a number from 0 to data.options.folds - 1"
                              + ("" if self.folds else "; set folds too, or leave fold at 0"))

    def test_identities(self, pids: Sequence[int]) -> list[int]:
        """Those to test on, of all identities in their order.

        Raises:
            DataError: there are too few to divide.
        """
        order = [pids[row] for row in np.random.default_rng(derive_seed(self.seed, "split of a table"))
                 .permutation(len(pids))]
        if len(pids) < max(2, self.folds or 2):
            raise DataError(f"{len(pids)} {'identity' if len(pids) == 1 else 'identities'} cannot be divided into "
                            + (f"data.options.folds={self.folds} parts; take fewer folds" if self.folds else
                               "people to train on and people to test on; two at least are needed, and results of few "
                               "mean little"))
        if self.folds:
            return [int(pid) for pid in np.array_split(order, self.folds)[self.fold]]
        return order[:min(max(1, round(self.test_fraction * len(pids))), len(pids) - 1)]

    def __str__(self) -> str:
        """In the words of the configuration."""
        how = f"fold {self.fold} of {self.folds}" if self.folds else f"test_fraction {self.test_fraction:g}"
        return f"seed {self.seed}, {how}"


@dataclass(frozen=True)
class Parts:
    """Which rows are which; a row may query and be searched.

    Attributes:
        train, query, gallery: the lists.
        test: rows that are evaluated on, of which queries and gallery are still to be chosen.
        validation: training rows of identities that the table's authors meant for validation.
        drawn: whether identities were divided here.
    """

    train: Mask
    query: Mask
    gallery: Mask
    test: Mask
    validation: Mask
    drawn: bool

    def without(self, rows: Mask) -> "Parts":
        """The same without some rows."""
        return Parts(self.train & ~rows, self.query & ~rows, self.gallery & ~rows, self.test & ~rows,
                     self.validation & ~rows, self.drawn)


def parts_of(table: Table, pids: np.ndarray, draw: Draw) -> Parts:
    """The parts of a table.

    Rows with ``split=validation`` are the test where no row says test, query or gallery, as open-metric-learning has
    it; else they are training rows that a data set's authors hold out.

    Args:
        table: with or without the columns split, is_query and is_gallery.
        pids: [N], 0 for a distractor, -1 for rows that are left out.
        draw: used where there is neither of these columns.

    Raises:
        DataError: the columns contradict each other, or an identity is in more than one part.
    """
    _require_both_flags(table)
    named = np.array(splits(table)) if "split" in table else None
    used, nothing = pids >= 0, np.zeros(len(table), bool)
    if named is None and "is_query" not in table:
        people = sorted(set(pids[pids > 0].tolist()))
        try:
            test = np.isin(pids, [0, *draw.test_identities(people)])
        except DataError as error:
            raise DataError(f"{table.file}: {error}") from None
        return Parts(~test & used, nothing, nothing, test & used, nothing, drawn=True)
    query, gallery = ((np.array([bool(flag) for flag in flags(table, column)]) if column in table else nothing)
                      for column in ("is_query", "is_gallery"))
    if named is None:
        train = ~query & ~gallery
        found = Parts(train & used, query & used, gallery & used, nothing, nothing, drawn=False)
    else:
        found = _named_parts(table, named, query, gallery, used)
    _require_apart(table, pids, found)
    return found


def _named_parts(table: Table, named: np.ndarray, query: Mask, gallery: Mask, used: Mask) -> Parts:
    """The parts that a column split names."""
    train, validation, test = named == "train", named == "validation", named == "test"
    if not np.isin(named, ["test", "query", "gallery"]).any():
        test, validation = validation, np.zeros_like(validation)
    if (odd := np.flatnonzero((train | validation) & (query | gallery))).size:
        raise DataError(f"{table.file}: {odd.size:,} training rows are queries or gallery "
                        f"({table.rows_where(odd.tolist(), 'split')}); leave is_query and is_gallery empty there")
    query, gallery = query | (named == "query"), gallery | (named == "gallery")
    if "is_query" in table:
        if (idle := np.flatnonzero(test & ~query & ~gallery & used)).size:
            raise DataError(f"{table.file}: {idle.size:,} test rows neither query nor are searched "
                            f"({table.rows_where(idle.tolist(), 'split')}); set is_query or is_gallery there, or "
                            "remove them")
        test = np.zeros_like(test)
    elif (test & used).any() and ((query | gallery) & used).any():
        raise DataError(f"{table.file}: split is test in {int(test.sum()):,} rows and query or gallery in others; use "
                        "query and gallery in all of them, or test in all")
    return Parts((train | validation) & used, query & used, gallery & used, test & used, validation & used, drawn=False)


def _require_both_flags(table: Table) -> None:
    for one, other in (("is_query", "is_gallery"), ("is_gallery", "is_query")):
        if one in table and other not in table:
            raise DataError(f"{table.file} has a column {one} and none {other}. Add it (true for images that "
                            f"{'are searched' if other == 'is_gallery' else 'look for others'}; an image may be both), "
                            f"or pass over the former with 'data.options.ignore=[{table.named[one]}]'")


def _require_apart(table: Table, pids: np.ndarray, parts: Parts) -> None:
    """Check that nobody is trained on and tested on, and that queries and gallery come together."""
    tested = parts.query | parts.gallery | parts.test
    for name, one, other in (("trained on and tested on", parts.train, tested),
                             ("in split=validation and in split=train", parts.validation,
                              parts.train & ~parts.validation)):
        if shared := sorted((set(pids[one].tolist()) & set(pids[other].tolist())) - {0}):
            rows = [int(np.flatnonzero((pids == shared[0]) & part)[0]) for part in (one, other)]
            raise DataError(f"{table.file}: {len(shared):,} identities are {name}, such as "
                            f"{table.cells['pid'][rows[0]]} in lines {table.lines[rows[0]]} and "
                            f"{table.lines[rows[1]]}; results would not be about unseen people. Correct the column, or "
                            "let a split be made by identity: "
                            f"'data.options.ignore=[{','.join(_split_columns(table))}]'")
    for name, here, there, other in (("queries", parts.query, parts.gallery, "gallery"),
                                     ("gallery images", parts.gallery, parts.query, "query")):
        if here.any() and not there.any():
            raise DataError(f"{table.file} has {int(here.sum()):,} {name} and no {other}; mark the images that "
                            f"{_MARKS[other]}, "
                            f"or let both be chosen: 'data.options.ignore=[{','.join(_split_columns(table))}]'")


def _split_columns(table: Table) -> Iterator[str]:
    return (table.named[column] for column in ("split", "is_query", "is_gallery") if column in table)
