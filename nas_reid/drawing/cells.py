"""Cells as pictures: nodes left to right, one curve per op, its width and opacity by its weight."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from nas_reid.drawing.graph import Edge, Graph
from nas_reid.drawing.layout import Layout, layered_layout
from nas_reid.drawing.palette import colours_of
from nas_reid.drawing.picture_file import write_picture

FONT_SIZE = 9.0
_CHARACTER = 0.62 * FONT_SIZE / 72  # inches; a mean character of matplotlib's default font
_LINE = 1.75 * FONT_SIZE / 72
_PLAIN = "#a9aeb6"


def draw_graphs(graphs: Sequence[Graph], path: Path, *, title: str = "", labels: Sequence[str] = ()) -> None:
    """Draw the graphs one below the other into a PNG.

    Args:
        graphs: at least one.
        path: the PNG file.
        title: headline, may be empty.
        labels: op names in the order of their colours, so that several pictures agree; unknown ones are appended.

    Raises:
        ValueError: no graph, or one with a cycle.
        NasReidError: the file cannot be written.
    """
    if not graphs:
        raise ValueError("nothing to draw: expected at least one graph")
    from matplotlib.figure import Figure

    used = {edge.label for graph in graphs for edge in graph.edges} - {""}
    colours = colours_of([*labels, *sorted(used)])
    layouts = [_layout(graph) for graph in graphs]
    head, caption = (0.4 if title else 0.0), 0.34
    width = max(4.0, *(layout.size[0] for layout in layouts))
    height = sum(layout.size[1] + caption for layout in layouts) + head + 0.4
    figure = Figure(figsize=(width, height), dpi=130)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    axes.text(0.15, height - 0.08, title, fontsize=FONT_SIZE + 3, va="top", weight="bold")
    top = height - head
    for graph, layout in zip(graphs, layouts, strict=True):
        axes.text(0.15, top - 0.1, graph.name, fontsize=FONT_SIZE + 1, va="top", weight="bold", color="#444b55")
        top -= layout.size[1] + caption
        _draw(axes, graph, layout, ((width - layout.size[0]) / 2, top), colours)
    _legend(axes, {label: colour for label, colour in colours.items() if label in used})
    write_picture(path, lambda file: figure.savefig(file, format="png"))


def _layout(graph: Graph) -> Layout:
    def node_size(node: str) -> tuple[float, float]:
        """Width and height of a node's box, with room for the edges that enter it."""
        entering = sum(edge.target == node for edge in graph.edges)
        return _CHARACTER * len(node) + 0.24, max(0.36, 0.12 * entering + 0.1)
    return layered_layout(
        graph,
        node_sizes={node: node_size(node) for node in graph.nodes},
        label_sizes=[(_CHARACTER * len(_text(edge)) + 0.16, _LINE) if _text(edge) else (0.0, 0.0)
                     for edge in graph.edges],
    )


def _text(edge: Edge) -> str:
    weight = "" if edge.weight is None else f" {edge.weight:.2f}"
    return (edge.label + weight).strip()


def _draw(axes: Any, graph: Graph, layout: Layout, origin: tuple[float, float], colours: dict[str, str]) -> None:
    from matplotlib.patches import FancyBboxPatch

    def move(point: tuple[float, float]) -> tuple[float, float]:
        """From the cell's coordinates to the picture's."""
        return point[0] + origin[0], point[1] + origin[1]

    widths = {node: _CHARACTER * len(node) + 0.24 for node in graph.nodes}
    ports = _ports(graph, layout)
    for i, edge in enumerate(graph.edges):
        (x0, y0), (x1, _) = layout.nodes[edge.source], layout.nodes[edge.target]
        start, end = (x0 + widths[edge.source] / 2, y0), (x1 - widths[edge.target] / 2, ports[i])
        _curve(axes, [move(point) for point in (start, *layout.routes[i], end)], edge, colours.get(edge.label, _PLAIN))
        if _text(edge):
            axes.text(*move(layout.labels[i]), _text(edge), fontsize=FONT_SIZE, ha="center", va="center_baseline",
                      color=colours.get(edge.label, _PLAIN), zorder=4,
                      bbox={"boxstyle": "round,pad=0.18", "fc": "white", "ec": "none"})
    for node, (x, y) in layout.nodes.items():
        height = max(0.28, 0.12 * sum(edge.target == node for edge in graph.edges) + 0.02)
        corner = move((x - widths[node] / 2 + 0.05, y - height / 2 + 0.05))
        axes.add_patch(FancyBboxPatch(corner, widths[node] - 0.1, height - 0.1, boxstyle="round,pad=0.05", lw=1.1,
                                      fc="#eef2f7", ec="#444b55", zorder=5))
        axes.text(*move((x, y)), node, fontsize=FONT_SIZE, ha="center", va="center_baseline", zorder=6)


def _ports(graph: Graph, layout: Layout) -> list[float]:
    """For each edge, the height at which it enters its target: edges enter in the order they arrive."""
    ports = [0.0] * len(graph.edges)
    for node, (_, y) in layout.nodes.items():
        entering = [i for i, edge in enumerate(graph.edges) if edge.target == node]
        entering.sort(key=lambda i: layout.labels[i][1])
        for rank, i in enumerate(entering):
            ports[i] = y + 0.12 * (rank - (len(entering) - 1) / 2)
    return ports


def _curve(axes: Any, points: list[tuple[float, float]], edge: Edge, colour: str) -> None:
    """A smooth curve, level at each of the points, with an arrow head at the last."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    tip = 0.1
    points = [*points[:-1], (points[-1][0] - tip, points[-1][1])]
    vertices, codes = [points[0]], [Outline.MOVETO]
    for (xa, ya), (xb, yb) in pairwise(points):
        middle = (xa + xb) / 2
        vertices += [(middle, ya), (middle, yb), (xb, yb)]
        codes += [Outline.CURVE4] * 3
    strength = 0.3 if edge.weight is None else min(max(edge.weight, 0.0), 1.0)
    opacity = 1.0 if edge.weight is None else 0.25 + 0.75 * strength
    axes.add_patch(PathPatch(Outline(vertices, codes), fc="none", ec=colour, lw=0.8 + 3.2 * strength, alpha=opacity,
                             capstyle="round", zorder=2 if edge.label else 1))
    (x, y), half = points[-1], 0.045
    axes.fill([x, x + tip, x], [y + half, y, y - half], color=colour, alpha=opacity, lw=0, zorder=3)


def _legend(axes: Any, colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, lw=3, label=label) for label, colour in colours.items()]
    if handles:
        axes.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=FONT_SIZE,
                    handlelength=1.2, borderaxespad=0.2, columnspacing=1.4)
