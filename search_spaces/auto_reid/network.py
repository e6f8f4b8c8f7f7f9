"""The fixed network of a genotype: what retraining trains and users deploy."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_reid.modules.typed_lists import ModuleListOf
from search_spaces.auto_reid.cell import INPUTS, Edge, build_preprocess, edge_stride, source_index
from search_spaces.auto_reid.macro import CellPlan, build_stem, plan_cells
from search_spaces.auto_reid.ops import OPS, OpSettings


class DropPath(nn.Module):
    """Zero a whole op's output per sample with probability ``rate`` in training, and rescale the rest.

    The outputs are divided by the keep probability, so that evaluation needs no change (FractalNet, DARTS).
    """

    _keep: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.rate, self.is_used = 0.0, False
        self.register_buffer("_keep", torch.ones(()), persistent=False)

    def set_rate(self, rate: float) -> None:
        """From now on drop with this probability, in [0, 1)."""
        self.rate, self.is_used = rate, True
        self._keep.fill_(1 - rate)

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, H, W], unchanged in evaluation or at rate 0."""
        if not (self.training and self.is_used):
            return x
        if torch.compiler.is_compiling():  # a graph would hold the float fast, and be compiled anew in every epoch
            return x * (torch.rand(len(x), 1, 1, 1, device=x.device) < self._keep) / self._keep
        return x * functional.dropout(x.new_ones(len(x), 1, 1, 1), self.rate) if self.rate else x


class FixedCell(nn.Module):
    """A cell whose nodes each add two chosen ops; returns the concatenation of its nodes, [B, nodes * c, H', W'].

    Args:
        plan: where the cell stands.
        nodes: this kind's entry of a validated genotype body.
        settings: shared settings of the ops.
    """

    def __init__(self, plan: CellPlan, nodes: Sequence[Mapping[str, Any]], *, settings: OpSettings) -> None:
        super().__init__()
        self.plan = plan
        self.preprocess = build_preprocess(plan, settings=settings)
        self.sources = [[source_index(entry["source"]) for entry in node["inputs"]] for node in nodes]
        self.nodes: ModuleListOf[nn.ModuleList] = ModuleListOf(
            nn.ModuleList(self._op(entry["op"], Edge(source, position + INPUTS), settings)
                          for entry, source in zip(node["inputs"], sources, strict=True))
            for position, (node, sources) in enumerate(zip(nodes, self.sources, strict=True)))

    def _op(self, name: str, edge: Edge, settings: OpSettings) -> nn.Module:
        op = OPS[name](self.plan.channels, edge_stride(edge, self.plan), settings)
        # An identity is never dropped: it is what keeps a signal when everything else is.
        return op if isinstance(op, nn.Identity) else nn.Sequential(op, DropPath())

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """Run the cell on the outputs of the cell before the previous one, and of the previous one."""
        states = [self.preprocess[0](older), self.preprocess[1](newer)]
        for sources, ops in zip(self.sources, self.nodes, strict=True):
            states.append(sum(op(states[source]) for source, op in zip(sources, ops, strict=True)))
        return torch.cat(states[INPUTS:], dim=1)


class Network(nn.Module):
    """Stem and fixed cells.

    Args:
        channels: width C of the first block.
        layers: cells per block.
        body: validated genotype body, ``{"normal": [...], "reduce": [...]}``.
        stem: key of ``macro.STEMS``.
        settings: shared settings of the ops.
    """

    def __init__(self, channels: int, layers: Sequence[int], *, body: Mapping[str, Any], stem: str,
                 settings: OpSettings) -> None:
        super().__init__()
        nodes = len(body["normal"])
        self.stem, stem_channels = build_stem(stem, channels, settings=settings)
        plans = plan_cells(channels, layers, nodes=nodes, stem_channels=stem_channels)
        self.cells: ModuleListOf[FixedCell] = ModuleListOf(
            FixedCell(plan, body[plan.kind], settings=settings) for plan in plans)
        self.out_channels = nodes * plans[-1].channels

    def set_drop_path(self, rate: float) -> None:
        """Set the drop probability of every op but identities; 0 turns it off. Schedules call it once per epoch.

        Args:
            rate: in [0, 1).
        """
        for module in self.modules():
            if isinstance(module, DropPath):
                module.set_rate(rate)

    def forward(self, images: Tensor, modality: Tensor | None = None) -> Tensor:
        """Images [B, 3, H, W] to a map [B, out_channels, H', W']; ``modality`` is ignored."""
        older = newer = self.stem(images)
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        return newer
