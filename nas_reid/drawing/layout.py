"""Where the nodes, edges and labels of a graph go, left to right, without anything on top of anything else.

Layered drawing after Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System
Structures" (1981). Nodes stand in columns by their depth, with one more column between any two of these. An edge
occupies a place in every column that it crosses, and its label one of the places between the columns of nodes;
since the places of a column never overlap, labels never do.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from nas_reid.drawing.graph import Graph

SWEEPS = 40


@dataclass(frozen=True)
class Layout:
    """Positions in inches from the lower left corner.

    Attributes:
        size: (width, height) of the whole.
        nodes: node -> (x, y) of its centre.
        routes: for each edge, the points it passes between its two nodes, left to right: where it enters and leaves
            each column. Inside a column it is level, so that it meets no label but its own.
        labels: for each edge, the centre of its label.
    """

    size: tuple[float, float]
    nodes: dict[str, tuple[float, float]]
    routes: list[list[tuple[float, float]]]
    labels: list[tuple[float, float]]


@dataclass
class _Place:
    """What stands in one column: a node, or an edge on its way. Sizes in inches; neighbours by index."""

    column: int
    width: float
    height: float
    y: float = 0.0
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)


def layered_layout(
    graph: Graph,
    *,
    node_sizes: dict[str, tuple[float, float]],
    label_sizes: list[tuple[float, float]],
    column_gap: float = 0.36,
    row_gap: float = 0.1,
) -> Layout:
    """Lay the graph out.

    Args:
        graph: what to draw.
        node_sizes: node -> (width, height).
        label_sizes: for each edge, (width, height) of its label; (0, 0) for none.
        column_gap, row_gap: free space between columns, and between the places of a column.
    """
    places, nodes, chains, label_places = _places(graph, node_sizes, label_sizes)
    columns = [[i for i, place in enumerate(places) if place.column == c]
               for c in range(1 + max((place.column for place in places), default=0))]
    _arrange(places, columns, row_gap)
    widths = np.array([max((places[i].width for i in column), default=0.0) for column in columns])
    right = np.cumsum(widths + column_gap)
    bottom = min((place.y - place.height / 2 for place in places), default=0.0) - row_gap
    top = max((place.y + place.height / 2 for place in places), default=0.0) + row_gap

    def point(index: int, side: float) -> tuple[float, float]:
        """Of a box its right side (0), middle (0.5) or left side (1), at half its height."""
        column = places[index].column
        return float(right[column] - side * widths[column]), places[index].y - bottom

    return Layout(
        size=(float(widths.sum() + column_gap * (len(columns) + 1)), float(top - bottom)),
        nodes={node: point(i, 0.5) for node, i in nodes.items()},
        routes=[[point(i, side) for i in chain for side in (1.0, 0.0)] for chain in chains],
        labels=[point(i, 0.5) for i in label_places],
    )


def _places(
    graph: Graph, node_sizes: dict[str, tuple[float, float]], label_sizes: list[tuple[float, float]],
) -> tuple[list[_Place], dict[str, int], list[list[int]], list[int]]:
    """All places, the index of each node, each edge's chain of places, and the place of each label."""
    depths = graph.depths()
    places = [_Place(2 * depths[node], *node_sizes[node]) for node in graph.nodes]
    nodes = {node: i for i, node in enumerate(graph.nodes)}
    chains, labels = [], []
    for edge, size in zip(graph.edges, label_sizes, strict=True):
        first, last = 2 * depths[edge.source] + 1, 2 * depths[edge.target] - 1
        chain = list(range(len(places), len(places) + last - first + 1))
        # The label sits in front of its target: a node is read as the sum of what enters it.
        places += [_Place(column, *(size if column == last else (0.0, 0.0))) for column in range(first, last + 1)]
        labels.append(chain[-1])
        route = [nodes[edge.source], *chain, nodes[edge.target]]
        for left, right in pairwise(route):
            places[left].after.append(right)
            places[right].before.append(left)
        chains.append(chain)
    return places, nodes, chains, labels


def _arrange(places: list[_Place], columns: list[list[int]], gap: float) -> None:
    """Set ``y``: sweeps to and fro pull each place to its neighbours; the sweep with fewest crossings wins."""
    for column in columns:
        _place_column(places, column, {i: -float(rank) for rank, i in enumerate(column)}, gap)
    best = (float("inf"), [place.y for place in places])
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            one_sided = sweep < SWEEPS // 2  # first untangle, then straighten
            wanted = {i: _pull(places, i, forward=forward if one_sided else None) for i in column}
            if one_sided:
                column.sort(key=lambda i: -wanted[i])
            _place_column(places, column, wanted, gap)
        cost = _crossings(places, columns) * 1e3 + _length(places)
        best = min(best, (cost, [place.y for place in places]))
        if sweep == SWEEPS // 2 - 1:
            for place, y in zip(places, best[1], strict=True):
                place.y = y
            for column in columns:
                column.sort(key=lambda i: -places[i].y)
    for place, y in zip(places, best[1], strict=True):
        place.y = y


def _pull(places: list[_Place], index: int, *, forward: bool | None) -> float:
    """The height a place would like: the mean of its neighbours on one side, or (None) on both."""
    place = places[index]
    neighbours = {True: place.before, False: place.after, None: place.before + place.after}[forward]
    return float(np.mean([places[i].y for i in neighbours])) if neighbours else place.y


def _place_column(places: list[_Place], column: list[int], wanted: dict[int, float], gap: float) -> None:
    """Least-squares positions from top to bottom with free gaps: isotonic regression, pooling violators."""
    offsets = np.zeros(len(column))
    for k in range(1, len(column)):
        upper, lower = places[column[k - 1]], places[column[k]]
        offsets[k] = offsets[k - 1] + (upper.height + lower.height) / 2 + gap
    blocks: list[tuple[float, int]] = []
    for k, index in enumerate(column):
        blocks.append((wanted[index] + offsets[k], 1))
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    fitted = np.repeat([value for value, _ in blocks], [count for _, count in blocks]) - offsets
    for index, y in zip(column, fitted, strict=True):
        places[index].y = float(y)


def _crossings(places: list[_Place], columns: list[list[int]]) -> int:
    """Number of pairs of connections that cross between neighbouring columns."""
    count = 0
    for column in columns:
        ends = np.array([(places[i].y, places[j].y) for i in column for j in places[i].after])
        if len(ends):
            left, right = np.sign(ends[:, None, :] - ends[None, :, :]).transpose(2, 0, 1)
            count += int((left * right < 0).sum()) // 2
    return count


def _length(places: list[_Place]) -> float:
    """Total vertical way of all connections, inches."""
    return sum(abs(place.y - places[j].y) for place in places for j in place.after)
