"""Partial channel connections: a share 1/k of an edge's channels is searched, the others pass by it.

PC-DARTS (Xu et al., 2020, arXiv 1907.05737), section 3: the ops of an edge work on the first c/k channels; the rest is
taken over as it is (Eq. 2), max-pooled where the edge reduces, and the channels are shuffled, so that the next edge
searches others. Ops drawn on few channels fluctuate, and edges get weights of their own against that (Eq. 3): a softmax
over the edges that enter a node, here one decision per node.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_reid.search_space import Choice, Decision
from search_spaces.auto_reid.cell import INPUTS, source_name


def edge_decisions(kind: str, nodes: int) -> list[Decision]:
    """One decision per node of a kind of cell, ``<kind>_<node>``, among the sources that it may read."""
    return [Decision(name, 1, tuple(Choice(source_name(source)) for source in range(node)))
            for node, name in zip(range(INPUTS, INPUTS + nodes), edge_names(kind, nodes), strict=True)]


def edge_names(kind: str, nodes: int) -> list[str]:
    """Names of ``edge_decisions``."""
    return [f"{kind}_{source_name(node)}" for node in range(INPUTS, INPUTS + nodes)]


def edge_weights(weights: Mapping[str, Tensor], kind: str, nodes: int) -> Tensor:
    """Weights of all edges of a kind of cell, [rows] in row order, from decision -> [1, sources]."""
    return torch.cat([weights[name].flatten() for name in edge_names(kind, nodes)])


def chosen_edges(chosen: Sequence[Mapping[str, Any]], kind: str, nodes: int) -> dict[str, Tensor]:
    """Edge weights that give each node its chosen inputs alone, in equal parts.

    Args:
        chosen: the nodes of a cell of a genotype, each with its ``inputs``.
        kind, nodes: of the cell.
    """
    weights = {}
    for decision, node in zip(edge_decisions(kind, nodes), chosen, strict=True):
        sources = [entry["source"] for entry in node["inputs"]]
        row = torch.tensor([[choice.name in sources for choice in decision.choices]], dtype=torch.float64)
        weights[decision.name] = row / row.sum()
    return weights


def bypass(x: Tensor, stride: int) -> Tensor:
    """What passes by an edge: [B, C, H, W] to [B, C, ceil(H / stride), ceil(W / stride)]."""
    return x if stride == 1 else F.max_pool2d(x, stride, stride, ceil_mode=True)


def join(searched: Tensor, passed: Tensor, partial: int) -> Tensor:
    """Concatenate along the last dimension, [..., c / k] and [..., c - c / k], and shuffle: channel i of the k-th part
    becomes channel k of the i-th group."""
    return torch.cat([searched, passed], dim=-1).unflatten(-1, (partial, -1)).transpose(-1, -2).flatten(-2)
