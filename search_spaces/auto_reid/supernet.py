"""The supernet: cells whose every edge mixes all primitives.

``plain`` execution is the definition (``sum(w * op(x))`` per edge); ``fused`` execution (``fused.py``) batches the
edges over the same parameters and is what a search should use.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_reid.modules.sampled import mixture, sampled_mixture
from nas_reid.modules.typed_lists import ModuleListOf
from nas_reid.search_space import Mix
from search_spaces.auto_reid.cell import INPUTS, Edge, build_preprocess, cell_edges, edge_stride
from search_spaces.auto_reid.fused import edge_groups, fused_cell, group_weights
from search_spaces.auto_reid.grouped_conv import from_tokens, to_tokens
from search_spaces.auto_reid.macro import CellPlan, build_stem, plan_cells
from search_spaces.auto_reid.ops import OPS, OpSettings
from search_spaces.auto_reid.partial import bypass, edge_names, edge_weights, join

EXECUTIONS = ("fused", "plain")


class MixedOp(nn.ModuleDict):
    """All primitives of one edge, by name."""

    def forward(self, x: Tensor, weights: Tensor, chosen: int | None, all_gradients: bool) -> Tensor:
        """Mix the primitives.

        Args:
            x: [B, c, H, W].
            weights: [K], one weight per primitive.
            chosen: run only this primitive; its straight-through weight keeps the gradient. None: run all.
            all_gradients: with ``chosen``, give the other weights their gradients too.

        Returns:
            ``sum_k w_k op_k(x)``, [B, c, H', W'].
        """
        if chosen is not None:
            return sampled_mixture(weights, [functools.partial(op, x) for op in self.values()], chosen,
                                   all_gradients=all_gradients)
        # `none` adds exact zeros: its weight acts through the softmax's denominator only, which is in the others.
        return reduce(torch.add, (weight * op(x) for weight, (name, op) in zip(weights.unbind(), self.items(),
                                                                               strict=True) if name != "none"))


class PartialMixedOp(MixedOp):
    """All primitives of one edge on the first c/k channels, while the others pass by; see ``partial``."""

    def __init__(self, ops: Mapping[str, nn.Module], *, partial: int, stride: int) -> None:
        super().__init__(ops)
        self.partial, self.stride = partial, stride

    def forward(self, x: Tensor, weights: Tensor, chosen: int | None, all_gradients: bool) -> Tensor:
        """As ``MixedOp``, for x of the cell's full width, [B, c, H, W]."""
        width = x.shape[1] // self.partial
        searched = super().forward(x[:, :width], weights, chosen, all_gradients)
        return from_tokens(join(to_tokens(searched), to_tokens(bypass(x[:, width:], self.stride)), self.partial))


class SearchCell(nn.Module):
    """A cell with a mixed op on each edge; returns the concatenation of its nodes, [B, nodes * c, H', W'].

    Args:
        plan: where the cell stands.
        nodes: B.
        primitives: on every edge.
        partial: k; the ops work on c/k channels. 1: on all of them, and edges have no weights.
        settings: shared settings of the ops.
    """

    def __init__(self, plan: CellPlan, *, nodes: int, primitives: Sequence[str], partial: int,
                 settings: OpSettings) -> None:
        super().__init__()
        self.plan = plan
        self.partial = partial
        self.nodes = nodes
        self.groups = edge_groups(nodes, primitives, is_reduction=plan.is_reduction)
        self.wiring = cell_edges(nodes)
        self.none = primitives.index("none") if "none" in primitives else None
        self.preprocess = build_preprocess(plan, settings=settings)
        self.edges: ModuleListOf[MixedOp] = ModuleListOf(self._edge(edge, primitives, settings) for edge in self.wiring)

    def _edge(self, edge: Edge, primitives: Sequence[str], settings: OpSettings) -> MixedOp:
        stride = edge_stride(edge, self.plan)
        ops = {name: OPS[name](self.plan.channels // self.partial, stride, settings) for name in primitives}
        return MixedOp(ops) if self.partial == 1 else PartialMixedOp(ops, partial=self.partial, stride=stride)

    def forward(self, older: Tensor, newer: Tensor, weights: Tensor, chosen: Sequence[int] | None,
                all_gradients: bool = False, edges: Sequence[Mix] = ()) -> Tensor:
        """Run the cell.

        Args:
            older, newer: outputs of the cell before the previous one, and of the previous one.
            weights: [rows, K] mixing weights of this kind of cell.
            chosen: [rows] sampled primitives, or None to run all.
            all_gradients: see ``MixedOp.forward``.
            edges: of partial channels, per node the weights [1, sources] of the edges that enter it.
        """
        states = [self.preprocess[0](older), self.preprocess[1](newer)]
        for node in range(INPUTS, INPUTS + self.nodes):
            rows = [row for row, edge in enumerate(self.wiring) if edge.node == node]
            outputs = [functools.partial(self.edges[row], states[self.wiring[row].source], weights[row],
                                         None if chosen is None else chosen[row], all_gradients)
                       for row in self._not_silent(rows, chosen)]
            states.append(_weighted(outputs, edges[node - INPUTS]) if edges else
                          reduce(torch.add, (output() for output in outputs)))
        return torch.cat(states[INPUTS:], dim=1)

    def _not_silent(self, rows: Sequence[int], chosen: Sequence[int] | None) -> Sequence[int]:
        """Rows into a node without those whose sampled ``none`` would add zeros. Where a gradient is wanted all stay: a
        parameter without one is not decayed. Of a node that nothing enters one stays, for the shape."""
        if chosen is None or self.none is None or self.partial > 1 or torch.is_grad_enabled():
            return rows
        return [row for row in rows if chosen[row] != self.none] or rows[:1]


def _weighted(outputs: Sequence[Callable[[], Tensor]], edges: Mix) -> Tensor:
    """Mix the edges that enter a node, or run the sampled one alone."""
    chosen = edges.alone()
    if chosen is None:
        return mixture(edges.weights[0], outputs)
    return sampled_mixture(edges.weights[0], outputs, chosen[0], all_gradients=edges.all_gradients)


class Supernet(nn.Module):
    """Stem and search cells. All cells of a kind share one decision, ``normal`` or ``reduce``.

    Args:
        channels: width C of the first block.
        layers: cells per block.
        nodes: B, intermediate nodes per cell.
        primitives: names of the ops on every edge, in the order of the mixing weights' columns.
        stem: key of ``macro.STEMS``.
        execution: ``fused`` or ``plain``; the same parameters and, up to rounding, the same function.
        partial: k; see ``SearchCell``.
        settings: shared settings of the ops.
    """

    def __init__(self, channels: int, layers: Sequence[int], *, nodes: int, primitives: Sequence[str], stem: str,
                 execution: str, partial: int, settings: OpSettings) -> None:
        super().__init__()
        self.nodes, self.partial = nodes, partial
        self.primitives = tuple(primitives)
        self.is_fused = execution == "fused"
        self.stem, stem_channels = build_stem(stem, channels, settings=settings)
        plans = plan_cells(channels, layers, nodes=nodes, stem_channels=stem_channels)
        self.cells: ModuleListOf[SearchCell] = ModuleListOf(
            SearchCell(plan, nodes=nodes, primitives=primitives, partial=partial, settings=settings) for plan in plans)
        self.out_channels = nodes * plans[-1].channels

    def forward(self, images: Tensor, mixes: Mapping[str, Mix], modality: Tensor | None = None) -> Tensor:
        """Run the supernet.

        Args:
            images: [B, 3, H, W].
            mixes: ``normal`` and, unless there is a single block, ``reduce``: weights [rows, K]. With
                ``sampled_only`` each edge runs its sampled op alone. With partial channels also the weights of the
                edges, [1, sources] per kind and node.
            modality: ignored.

        Returns:
            [B, out_channels, H', W'].
        """
        if self.is_fused and not any(mix.sampled_only for mix in mixes.values()):
            return self._forward_fused(images, mixes)
        chosen = {name: mix.alone() for name, mix in mixes.items()}
        older = newer = self.stem(images)
        for cell in self.cells:
            kind = cell.plan.kind
            edges = [mixes[name] for name in edge_names(kind, self.nodes)] if self.partial > 1 else []
            older, newer = newer, cell(older, newer, mixes[kind].weights, chosen[kind], mixes[kind].all_gradients,
                                       edges)
        return newer

    def _forward_fused(self, images: Tensor, mixes: Mapping[str, Mix]) -> Tensor:
        groups = {cell.plan.kind: cell.groups for cell in self.cells}
        values = {name: mix.weights for name, mix in mixes.items()}
        edges = {kind: edge_weights(values, kind, self.nodes) if self.partial > 1 else None for kind in groups}
        weights = {kind: group_weights(values[kind], groups[kind], self.primitives, edges[kind]) for kind in groups}
        output, older = self.stem(images).contiguous(memory_format=torch.channels_last), None
        for cell in self.cells:
            newer = F.relu(output)  # once, although two cells read it
            output = fused_cell(cell, newer if older is None else older, newer, weights[cell.plan.kind])
            older = newer
        return output
