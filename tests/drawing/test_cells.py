"""Cell drawings: the layout keeps everything apart, and the pixels follow the graph."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nas_reid.drawing.cells import draw_graphs
from nas_reid.drawing.graph import Edge, Graph
from nas_reid.drawing.layout import layered_layout
from nas_reid.drawing.palette import colours_of

INPUTS = ("c_{k-2}", "c_{k-1}")
# The published cells of Auto-ReID's retrieval search: (op, source, weight), two per node.
NORMAL = (("sep_conv_3x3", 0, 0.41), ("skip_connect", 1, 0.00), ("dil_conv_3x3", 2, 0.46), ("dil_conv_3x3", 0, 0.03),
          ("dil_conv_3x3", 3, 0.41), ("sep_conv_3x3", 2, 0.21), ("dil_conv_3x3", 4, 0.55), ("dil_conv_3x3", 3, 0.18))
REDUCE = (("max_pool_3x3", 0, 0.43), ("part_aware", 1, 0.42), ("sep_conv_3x3", 0, 0.83), ("dil_conv_3x3", 2, 0.60),
          ("dil_conv_3x3", 2, 0.46), ("max_pool_3x3", 0, 0.40), ("dil_conv_3x3", 4, 0.76), ("dil_conv_3x3", 3, 0.63))


def cell(name: str, entries: tuple[tuple[str, int, float], ...]) -> Graph:
    nodes = (*INPUTS, "2", "3", "4", "5", "output")
    ops = tuple(Edge(nodes[source], nodes[2 + i // 2], op, weight) for i, (op, source, weight) in enumerate(entries))
    return Graph(name, nodes, ops + tuple(Edge(node, "output") for node in nodes[2:6]))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def boxes(graph: Graph, seed: int = 0) -> list[tuple[float, float, float, float]]:
    """(left, right, bottom, top) of every node and label of a layout with random sizes."""
    sizes = np.random.default_rng(seed).uniform(0.2, 1.5, size=(len(graph.nodes) + len(graph.edges), 2))
    node_sizes = {node: tuple(size) for node, size in zip(graph.nodes, sizes, strict=False)}
    label_sizes = [tuple(size) for size in sizes[len(graph.nodes):]]
    layout = layered_layout(graph, node_sizes=node_sizes, label_sizes=label_sizes)
    centres = [*((layout.nodes[node], node_sizes[node]) for node in graph.nodes),
               *zip(layout.labels, label_sizes, strict=True)]
    found = [(x - w / 2, x + w / 2, y - h / 2, y + h / 2) for (x, y), (w, h) in centres]
    assert all(0 <= left and right <= layout.size[0] and 0 <= bottom and top <= layout.size[1]
               for left, right, bottom, top in found)
    return found


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = tuple(f"n{i}" for i in range(draw(st.integers(2, 7))))
    pairs = draw(st.lists(st.sampled_from(list(combinations(nodes, 2))), min_size=1, max_size=15))
    return Graph("random", nodes, tuple(Edge(a, b, "op") for a, b in pairs))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(graphs(), st.integers(0, 9))
def test_no_label_overlaps_a_label_or_a_node(graph, seed):
    for (l1, r1, b1, t1), (l2, r2, b2, t2) in combinations(boxes(graph, seed), 2):
        assert r1 <= l2 or r2 <= l1 or t1 <= b2 + 1e-9 or t2 <= b1 + 1e-9


@settings(max_examples=25, deadline=None, derandomize=True)
@given(graphs())
def test_every_edge_runs_left_to_right_through_its_label(graph):
    layout = layered_layout(graph, node_sizes=dict.fromkeys(graph.nodes, (0.3, 0.3)),
                            label_sizes=[(0.5, 0.2)] * len(graph.edges))
    for edge, route, (x, y) in zip(graph.edges, layout.routes, layout.labels, strict=True):
        line = [layout.nodes[edge.source][0], *(point[0] for point in route), layout.nodes[edge.target][0]]
        assert line == sorted(line)
        assert route[-2][0] <= x <= route[-1][0] and route[-2][1] == route[-1][1] == y


def test_depths_are_longest_paths():
    assert cell("normal", NORMAL).depths() == {
        "c_{k-2}": 0, "c_{k-1}": 0, "2": 1, "3": 2, "4": 3, "5": 4, "output": 5}


def test_a_layout_without_need_for_crossings_has_none():
    graph = Graph("two chains", ("a", "b", "c", "d"), (Edge("a", "d"), Edge("b", "c")))
    layout = layered_layout(graph, node_sizes=dict.fromkeys(graph.nodes, (0.3, 0.3)), label_sizes=[(0.0, 0.0)] * 2)
    (a, b, c, d) = (layout.nodes[node][1] for node in "abcd")
    assert (a - b) * (d - c) > 0


@pytest.mark.parametrize(("nodes", "edges", "message"), [
    (("a", "a"), (), "lists a node twice"),
    (("a",), (Edge("a", "b"),), r"unknown nodes \['b'\]"),
])
def test_a_graph_refuses_nonsense(nodes, edges, message):
    with pytest.raises(ValueError, match=message):
        Graph("g", nodes, edges)


def test_a_cycle_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"'loop' has a cycle"):
        draw_graphs([Graph("loop", ("a", "b"), (Edge("a", "b"), Edge("b", "a")))], tmp_path / "cells.png")


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match="at least one graph"):
        draw_graphs([], tmp_path / "cells.png")


def test_the_published_cells_make_one_picture(tmp_path):
    path = tmp_path / "pictures" / "cells.png"
    draw_graphs([cell("normal", NORMAL), cell("reduction", REDUCE)], path, title="retrieval")
    height, width, _ = pixels(path).shape
    assert 1000 < width < 2400 and 350 < height < 1000


def test_a_weight_changes_the_pixels_of_its_edge(tmp_path):
    for weight in (0.1, 0.9):
        draw_graphs([Graph("g", ("a", "b"), (Edge("a", "b", "conv", weight),))], tmp_path / f"{weight}.png")
    thin, thick = (pixels(tmp_path / f"{weight}.png").min(axis=2) < 200 for weight in (0.1, 0.9))
    assert thin.shape == thick.shape and thick.sum() > thin.sum() + 50


def test_an_op_keeps_its_colour_in_every_picture(tmp_path):
    order = ["pool", "conv"]
    colour = np.array([int(colours_of(order)["conv"][i:i + 2], 16) for i in (1, 3, 5)])
    for name, labels in {"one": ("conv",), "both": ("conv", "pool")}.items():
        edges = tuple(Edge("a", "b", label) for label in labels)
        draw_graphs([Graph("g", ("a", "b"), edges)], tmp_path / f"{name}.png", labels=order)
        assert (pixels(tmp_path / f"{name}.png") == colour).all(axis=2).sum() > 30
