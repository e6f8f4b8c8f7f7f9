"""The neutral picture of a cell: named nodes, and edges that carry an op.

A search space that wants its cells drawn offers ``graphs(genotype) -> list[Graph]`` (the derived cells) and, for
the supernet, ``supernet_graphs(probs) -> list[Graph]`` with one weight per edge. Both are optional, and this file
imports nothing, so that a space can use it for free.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edge:
    """A directed edge.

    Args:
        source, target: node names.
        label: the op on the edge; empty for a plain connection such as a concatenation.
        weight: strength in [0, 1] (for example the probability of the op), or None when there is none.
    """

    source: str
    target: str
    label: str = ""
    weight: float | None = None


@dataclass(frozen=True)
class Graph:
    """A directed acyclic graph with a title; several edges may join the same two nodes.

    Args:
        name: what is drawn, for example ``normal cell``.
        nodes: unique names, in reading order.
        edges: in reading order.

    Raises:
        ValueError: a node appears twice, or an edge names a node that is not there.
    """

    name: str
    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]

    def __post_init__(self) -> None:
        if len(set(self.nodes)) < len(self.nodes):
            raise ValueError(f"graph {self.name!r} lists a node twice: {list(self.nodes)}")
        for edge in self.edges:
            unknown = {edge.source, edge.target} - set(self.nodes)
            if unknown:
                raise ValueError(f"graph {self.name!r}: {edge} names unknown nodes {sorted(unknown)}; "
                                 f"known are {list(self.nodes)}")

    def depths(self) -> dict[str, int]:
        """Node -> number of edges on the longest path that leads to it.

        Raises:
            ValueError: the graph has a cycle.
        """
        depths = dict.fromkeys(self.nodes, 0)
        for _ in self.nodes:
            deeper = {edge.target: depths[edge.source] + 1 for edge in self.edges
                      if depths[edge.target] <= depths[edge.source]}
            if not deeper:
                return depths
            depths |= deeper
        raise ValueError(f"graph {self.name!r} has a cycle through {sorted(deeper)}")
