"""The supernet: cells whose every edge mixes all primitives.

This plain form is the definition (``sum(w * op(x))`` per edge).
"""

from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from nas_reid.search_space import Mix
from search_spaces.auto_reid.cell import INPUTS, build_preprocess, cell_edges, edge_stride
from search_spaces.auto_reid.macro import CellPlan, build_stem, plan_cells
from search_spaces.auto_reid.ops import OPS, OpSettings


class MixedOp(nn.ModuleDict):
    """All primitives of one edge, by name."""

    def forward(self, x: Tensor, weights: Tensor, chosen: int | None) -> Tensor:
        """Mix the primitives.

        Args:
            x: [B, c, H, W].
            weights: [K], one weight per primitive.
            chosen: run only this primitive; its straight-through weight keeps the gradient. None: run all.

        Returns:
            ``sum_k w_k op_k(x)``, [B, c, H', W'].
        """
        ops = list(self.items())
        if chosen is not None:
            return weights[chosen] * ops[chosen][1](x)
        # `none` adds exact zeros: its weight acts through the softmax's denominator only, which is in the others.
        return reduce(torch.add, (weight * op(x) for weight, (name, op) in zip(weights.unbind(), ops, strict=True)
                                  if name != "none"))


class SearchCell(nn.Module):
    """A cell with a mixed op on each edge; returns the concatenation of its nodes, [B, nodes * c, H', W']."""

    def __init__(self, plan: CellPlan, *, nodes: int, primitives: Sequence[str], settings: OpSettings) -> None:
        super().__init__()
        self.plan = plan
        self.nodes = nodes
        self.wiring = cell_edges(nodes)
        self.preprocess = build_preprocess(plan, settings=settings)
        self.edges = nn.ModuleList(
            MixedOp({name: OPS[name](plan.channels, edge_stride(edge, plan), settings) for name in primitives})
            for edge in self.wiring)

    def forward(self, older: Tensor, newer: Tensor, weights: Tensor, chosen: Sequence[int] | None) -> Tensor:
        """Run the cell.

        Args:
            older, newer: outputs of the cell before the previous one, and of the previous one.
            weights: [rows, K] mixing weights of this kind of cell.
            chosen: [rows] sampled primitives, or None to run all.
        """
        states = [self.preprocess[0](older), self.preprocess[1](newer)]
        for node in range(INPUTS, INPUTS + self.nodes):
            states.append(reduce(torch.add, (
                self.edges[row](states[edge.source], weights[row], None if chosen is None else chosen[row])
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
        settings: shared settings of the ops.
    """

    def __init__(self, channels: int, layers: Sequence[int], *, nodes: int, primitives: Sequence[str], stem: str,
                 settings: OpSettings) -> None:
        super().__init__()
        self.stem, stem_channels = build_stem(stem, channels, settings=settings)
        plans = plan_cells(channels, layers, nodes=nodes, stem_channels=stem_channels)
        self.cells = nn.ModuleList(SearchCell(plan, nodes=nodes, primitives=primitives, settings=settings)
                                   for plan in plans)
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
        # One copy to the host per decision and forward: asking edge by edge would stop a GPU 14 times per cell.
        chosen = {name: mix.index.tolist() if mix.sampled_only else None for name, mix in mixes.items()}
        older = newer = self.stem(images)
        for cell in self.cells:
            kind = cell.plan.kind
            older, newer = newer, cell(older, newer, mixes[kind].weights, chosen[kind])
        return newer
