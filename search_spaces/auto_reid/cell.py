"""The wiring of a cell, and its two inputs' preprocessing.

A cell has two inputs (sources 0 and 1: the outputs of the cell before the previous one, and of the previous one)
and B nodes (2, 3, ...). Node j may read every earlier source: rows of a decision are these edges, node by node,
sources in increasing order. In genotype files sources are called ``input0``, ``input1``, ``node2``, ``node3``, ...
"""

from typing import NamedTuple

from torch import nn

from search_spaces.auto_reid.macro import CellPlan
from search_spaces.auto_reid.ops import FactorizedReduce, OpSettings, ReLUConvNorm

INPUTS = 2


class Edge(NamedTuple):
    """A directed connection inside a cell; both ends count from input 0."""

    source: int
    node: int


def cell_edges(nodes: int) -> tuple[Edge, ...]:
    """All edges of a cell with B ``nodes``, in row order: B (B + 3) / 2 of them (14 for B = 4)."""
    return tuple(Edge(source, node) for node in range(INPUTS, INPUTS + nodes) for source in range(node))


def edge_stride(edge: Edge, plan: CellPlan) -> int:
    """2 where a reduction cell reads its inputs, else 1."""
    return 2 if plan.is_reduction and edge.source < INPUTS else 1


def source_name(source: int) -> str:
    """``input0``, ``input1``, ``node2``, ..."""
    return f"input{source}" if source < INPUTS else f"node{source}"


def source_index(name: str) -> int:
    """Inverse of ``source_name``."""
    return int(name.removeprefix("input").removeprefix("node"))


def build_preprocess(plan: CellPlan, *, settings: OpSettings) -> nn.ModuleList:
    """Bring both inputs to the cell's width, and the older one to the newer one's size."""
    older, newer = plan.in_channels
    reduce = FactorizedReduce if plan.follows_reduction else ReLUConvNorm
    return nn.ModuleList([reduce(older, plan.channels, settings=settings),
                          ReLUConvNorm(newer, plan.channels, settings=settings)])
