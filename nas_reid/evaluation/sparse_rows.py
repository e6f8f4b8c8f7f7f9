"""Matrices with few entries per row, as re-ranking needs them: built by blocks of rows, read by lists."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_reid.evaluation.distance import BLOCK_MEMORY

_GRID = 2.0**40
_ENTRIES = BLOCK_MEMORY // 64  # entries handled at a time


@dataclass(frozen=True)
class SparseRows:
    """A non-negative matrix in compressed rows.

    Values are whole multiples of 2^-40 and at most 1, so that sums of up to 2^13 of them are exact in float64: results
    depend neither on the block size nor on the order in which a GPU adds.

    Attributes:
        starts: [R + 1]; row r holds the entries ``starts[r]`` to ``starts[r + 1] - 1``.
        columns: [E], ascending within a row.
        values: float64 [E].
        num_columns: the matrix's width.
    """

    starts: Tensor
    columns: Tensor
    values: Tensor
    num_columns: int

    @classmethod
    def of(cls, counts: Tensor, columns: Tensor, values: Tensor, *, num_columns: int) -> "SparseRows":
        """From the number of entries of each row, and the entries row after row; rounds the values to the grid."""
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return cls(starts, columns, (values * _GRID).round_() / _GRID, num_columns)

    @classmethod
    def stacked(cls, parts: list["SparseRows"]) -> "SparseRows":
        """All rows of ``parts``, one after the other."""
        counts = torch.cat([part.starts.diff() for part in parts])
        return cls(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), torch.cat([part.columns for part in parts]),
                   torch.cat([part.values for part in parts]), parts[0].num_columns)

    def entries(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The entries of a list of rows, in pieces of bounded size, as (index into ``rows``, index of the entry)."""
        first, counts = self.starts[rows], self.starts[rows + 1] - self.starts[rows]
        ends = counts.cumsum(0)
        pieces = torch.bincount((ends - 1).clamp_min_(0) // _ENTRIES).tolist() if len(rows) else []
        done = 0
        for piece in filter(None, pieces):
            part = slice(done, done + piece)
            done += piece
            owners = torch.repeat_interleave(counts[part])
            offsets = first[part] - ends[part] + counts[part] + (ends[part.start] - counts[part.start])
            yield owners + part.start, torch.arange(len(owners), device=rows.device) + offsets[owners]

    def averaged(self, neighbours: Tensor) -> "SparseRows":
        """Row i becomes the mean of the rows ``neighbours[i]``, [b, k]."""
        keys, values = [], []
        for owners, places in self.entries(neighbours.flatten()):
            keys.append(owners // neighbours.shape[1] * self.num_columns + self.columns[places])
            values.append(self.values[places])
        unique, inverse = torch.cat(keys).unique(return_inverse=True)
        sums = self.values.new_zeros(len(unique)).index_add_(0, inverse, torch.cat(values))
        counts = torch.bincount(unique // self.num_columns, minlength=len(neighbours))
        return SparseRows.of(counts, unique % self.num_columns, sums / neighbours.shape[1],
                             num_columns=self.num_columns)

    def transposed(self, first_row: int = 0) -> "SparseRows":
        """The matrix's columns as rows, of the rows from ``first_row`` on."""
        entries = slice(int(self.starts[first_row]), None)
        rows = torch.repeat_interleave(self.starts[first_row:].diff())
        columns, order = self.columns[entries].sort(stable=True)
        counts = torch.bincount(columns, minlength=self.num_columns)
        return SparseRows(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), rows[order],
                          self.values[entries][order], len(self.starts) - 1 - first_row)

    def overlaps(self, rows: slice, inverted: "SparseRows") -> Tensor:
        """sum_c min(self[i, c], other[j, c]) as a dense [b, J], with ``inverted`` the transpose of ``other``."""
        start, stop = self.starts[rows.start], self.starts[rows.stop]
        owner = torch.repeat_interleave(self.starts[rows.start:rows.stop + 1].diff())
        columns, values = self.columns[start:stop], self.values[start:stop]
        sums = self.values.new_zeros((rows.stop - rows.start) * inverted.num_columns)
        for entries, places in inverted.entries(columns):
            targets = owner[entries] * inverted.num_columns + inverted.columns[places]
            sums.index_add_(0, targets, torch.minimum(values[entries], inverted.values[places]))
        return sums.view(-1, inverted.num_columns)
