"""The supernet: cells whose every edge mixes all primitives.

``plain`` execution is the definition (``sum(w * op(x))`` per edge); ``fused`` execution (``fused.py``) batches the
edges over the same parameters and is what a search should use.
"""

from collections.abc import Mapping, Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_reid.modules.sampled import sampled_mixture
from nas_reid.modules.typed_lists import ModuleListOf
from nas_reid.search_space import Mix
from search_spaces.auto_reid.cell import INPUTS, build_preprocess, cell_edges, edge_stride
from search_spaces.auto_reid.fused import edge_groups, fused_cell, group_weights
from search_spaces.auto_reid.macro import CellPlan, build_stem, plan_cells
from search_spaces.auto_reid.ops import OPS, OpSettings

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
            return sampled_mixture(weights, [partial(op, x) for op in self.values()], chosen,
                                   all_gradients=all_gradients)
        # `none` adds exact zeros: its weight acts through the softmax's denominator only, which is in the others.
        return reduce(torch.add, (weight * op(x) for weight, (name, op) in zip(weights.unbind(), self.items(),
                                                                               strict=True) if name != "none"))


class SearchCell(nn.Module):
    """A cell with a mixed op on each edge; returns the concatenation of its nodes, [B, nodes * c, H', W']."""

    def __init__(self, plan: CellPlan, *, nodes: int, primitives: Sequence[str], settings: OpSettings) -> None:
        super().__init__()
        self.plan = plan
        self.nodes = nodes
        self.groups = edge_groups(nodes, primitives, is_reduction=plan.is_reduction)
        self.wiring = cell_edges(nodes)
        self.preprocess = build_preprocess(plan, settings=settings)
        self.edges: ModuleListOf[MixedOp] = ModuleListOf(
            MixedOp({name: OPS[name](plan.channels, edge_stride(edge, plan), settings) for name in primitives})
            for edge in self.wiring)

    def forward(self, older: Tensor, newer: Tensor, weights: Tensor, chosen: Sequence[int] | None,
                all_gradients: bool = False) -> Tensor:
        """Run the cell.

        Args:
            older, newer: outputs of the cell before the previous one, and of the previous one.
            weights: [rows, K] mixing weights of this kind of cell.
            chosen: [rows] sampled primitives, or None to run all.
            all_gradients: see ``MixedOp.forward``.
        """
        states = [self.preprocess[0](older), self.preprocess[1](newer)]
        for node in range(INPUTS, INPUTS + self.nodes):
            states.append(reduce(torch.add, (
                self.edges[row](states[edge.source], weights[row], None if chosen is None else chosen[row],
                                all_gradients)
                for row, edge in enumerate(self.wiring) if edge.node == node)))
        return torch.cat(states[INPUTS:], dim=1)


class Supernet(nn.Module):
    """Stem and search cells. All cells of a kind share one decision, ``normal`` or ``reduce``.

    Args:
        channels: width C of the first block.
        layers: cells per block.
        nodes: B, intermediate nodes per cell.
        primitives: names of the ops on every edge, in the order of the mixing weights' columns.
        stem: key of ``macro.STEMS``.
        execution: ``fused`` or ``plain``; the same parameters and, up to rounding, the same function.
        settings: shared settings of the ops.
    """

    def __init__(self, channels: int, layers: Sequence[int], *, nodes: int, primitives: Sequence[str], stem: str,
                 execution: str, settings: OpSettings) -> None:
        super().__init__()
        self.primitives = tuple(primitives)
        self.is_fused = execution == "fused"
        self.stem, stem_channels = build_stem(stem, channels, settings=settings)
        plans = plan_cells(channels, layers, nodes=nodes, stem_channels=stem_channels)
        self.cells: ModuleListOf[SearchCell] = ModuleListOf(
            SearchCell(plan, nodes=nodes, primitives=primitives, settings=settings) for plan in plans)
        self.out_channels = nodes * plans[-1].channels

    def forward(self, images: Tensor, mixes: Mapping[str, Mix], modality: Tensor | None = None) -> Tensor:
        """Run the supernet.

        Args:
            images: [B, 3, H, W].
            mixes: ``normal`` and, unless there is a single block, ``reduce``: weights [rows, K]. With
                ``sampled_only`` each edge runs its sampled op alone.
            modality: ignored.

        Returns:
            [B, out_channels, H', W'].
        """
        if self.is_fused and not any(mix.sampled_only for mix in mixes.values()):
            return self._forward_fused(images, mixes)
        # One copy to the host per decision and forward: asking edge by edge would stop a GPU 14 times per cell.
        chosen = {name: None if (alone := mix.alone()) is None else alone.tolist() for name, mix in mixes.items()}
        older = newer = self.stem(images)
        for cell in self.cells:
            kind = cell.plan.kind
            older, newer = newer, cell(older, newer, mixes[kind].weights, chosen[kind], mixes[kind].all_gradients)
        return newer

    def _forward_fused(self, images: Tensor, mixes: Mapping[str, Mix]) -> Tensor:
        groups = {cell.plan.kind: cell.groups for cell in self.cells}
        weights = {kind: group_weights(mixes[kind].weights, groups[kind], self.primitives) for kind in groups}
        output, older = self.stem(images).contiguous(memory_format=torch.channels_last), None
        for cell in self.cells:
            newer = F.relu(output)  # once, although two cells read it
            output = fused_cell(cell, newer if older is None else older, newer, weights[cell.plan.kind])
            older = newer
        return output
