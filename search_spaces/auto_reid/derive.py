"""From probabilities to a genotype body, the check of a body, and the way back.

A body names everything::

    {"normal": [{"node": "node2", "inputs": [{"op": "dil_conv_3x3", "source": "input1"}, {...}]}, ...],
     "reduce": [...]}

Inputs are listed by increasing source; their order has no meaning and a reader must not rely on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nas_reid.errors import GenotypeError
from search_spaces.auto_reid.cell import INPUTS, cell_edges, source_name
from search_spaces.auto_reid.ops import OPS

KINDS = ("normal", "reduce")
INPUTS_PER_NODE = 2


def derive_cell(probs: Tensor, *, primitives: Sequence[str], nodes: int) -> list[dict[str, Any]]:
    """The rule of DARTS (section 2.4): per node the two predecessors whose best op other than ``none`` is likeliest.

    Args:
        probs: [rows, K] probabilities. ``none`` is part of the softmax, so an edge that prefers ``none`` is weak
            whatever its other alphas are; ranking raw alphas would choose otherwise. Ties go to the lowest index.
        primitives: [K] names of the columns.
        nodes: B.

    Returns:
        This kind's entry of the body.
    """
    table = probs.detach().double().tolist()
    columns = [k for k, name in enumerate(primitives) if name != "none"]
    best = [max(columns, key=row.__getitem__) for row in table]  # max keeps the first of equals
    cell = []
    for node in range(INPUTS, INPUTS + nodes):
        rows = [(row, edge.source) for row, edge in enumerate(cell_edges(nodes)) if edge.node == node]
        kept = sorted(rows, key=lambda item: -table[item[0]][best[item[0]]])[:INPUTS_PER_NODE]
        cell.append({"node": source_name(node),
                     "inputs": [{"op": primitives[best[row]], "source": source_name(source)}
                                for row, source in sorted(kept)]})
    return cell


def one_hot_cell(cell: Sequence[Mapping[str, Any]], *, primitives: Sequence[str]) -> Tensor:
    """Probabilities [rows, K] from which ``derive_cell`` returns ``cell``: 1 on its ops, and on ``none`` elsewhere.

    Where there is no ``none``, the rows of edges that the cell does not have are zero.
    """
    chosen = {(entry["source"], node["node"]): entry["op"] for node in cell for entry in node["inputs"]}
    ops = [chosen.get((source_name(edge.source), source_name(edge.node)), "none") for edge in cell_edges(len(cell))]
    rows = dict(zip(primitives, torch.eye(len(primitives), dtype=torch.float64), strict=True))
    absent = torch.zeros(len(primitives), dtype=torch.float64)
    return torch.stack([rows.get(op, absent) for op in ops])


def check_body(body: Mapping[str, Any], *, nodes: int) -> None:
    """Check a body before a network is built from it.

    Raises:
        GenotypeError: a missing or extra kind or field, a wrong number of nodes or inputs, an unknown op, an unknown
            or later source, or one source twice.
    """
    if set(body) != set(KINDS):
        raise GenotypeError(f"genotype body has cells {sorted(body)}; expected {sorted(KINDS)}")
    for kind in KINDS:
        cell = body[kind]
        names = [source_name(node) for node in range(INPUTS, INPUTS + nodes)]
        if not isinstance(cell, list) or [_field(node, "node", kind) for node in cell] != names:
            raise GenotypeError(f"cell {kind!r} must list the nodes {', '.join(names)} in this order, each as "
                                f"{{'node': ..., 'inputs': [...]}}; with another number of nodes set space.nodes")
        for position, node in enumerate(cell):
            _check_inputs(_field(node, "inputs", kind), f"{kind} {names[position]}", earlier=INPUTS + position)


def _check_inputs(inputs: Any, where: str, *, earlier: int) -> None:
    if not isinstance(inputs, list) or len(inputs) != INPUTS_PER_NODE:
        raise GenotypeError(f"{where} has inputs {inputs!r}; expected a list of {INPUTS_PER_NODE}")
    sources = [_field(entry, "source", where) for entry in inputs]
    allowed = [source_name(source) for source in range(earlier)]
    known_ops = sorted(set(OPS) - {"none"})
    for entry, source in zip(inputs, sources, strict=True):
        if _field(entry, "op", where) not in known_ops:
            raise GenotypeError(f"{where} uses the unknown op {entry['op']!r}; known are: {', '.join(known_ops)}")
        if source not in allowed:
            raise GenotypeError(f"{where} reads {source!r}; it can read: {', '.join(allowed)}")
    if len(set(sources)) < len(sources):
        raise GenotypeError(f"{where} reads {sources[0]!r} twice; a node has {INPUTS_PER_NODE} different sources")


def _field(entry: Any, name: str, where: str) -> Any:
    if not isinstance(entry, dict) or name not in entry:
        raise GenotypeError(f"{where}: {entry!r} has no field {name!r}")
    return entry[name]
