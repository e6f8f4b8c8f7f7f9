"""Cells as neutral graphs, for the engine to draw."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from nas_reid.drawing.graph import Edge, Graph
from search_spaces.auto_reid.cell import INPUTS, cell_edges, source_name

_TITLES = {"normal": "normal cell", "reduce": "reduction cell"}
_OUTPUT = "output"


def fixed_graph(kind: str, cell: Sequence[Mapping[str, Any]]) -> Graph:
    """The chosen ops of one kind of cell, from its entry in a genotype body."""
    edges = [Edge(entry["source"], node["node"], entry["op"]) for node in cell for entry in node["inputs"]]
    return _graph(kind, len(cell), edges)


def supernet_graph(kind: str, probs: Tensor, *, primitives: Sequence[str], nodes: int) -> Graph:
    """Every edge of one kind of cell with its likeliest op other than ``none``, weighted by that probability."""
    edges = []
    for edge, row in zip(cell_edges(nodes), probs.tolist(), strict=True):
        weight, op = max((p, name) for p, name in zip(row, primitives, strict=True) if name != "none")
        edges.append(Edge(source_name(edge.source), source_name(edge.node), op, weight))
    return _graph(kind, nodes, edges)


def _graph(kind: str, nodes: int, edges: Sequence[Edge]) -> Graph:
    names = [source_name(index) for index in range(INPUTS + nodes)]
    concatenation = [Edge(name, _OUTPUT) for name in names[INPUTS:]]
    return Graph(_TITLES[kind], (*names, _OUTPUT), (*edges, *concatenation))
