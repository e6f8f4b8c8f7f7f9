"""The search cell, edges batched: equal to ``SearchCell.forward`` up to the order of summation.

The plain form runs every op of every edge by itself. Here the edges that read the same sources run together, over
the same parameters:

- one ReLU, one pool of each kind and one stripe average per source; ``none`` is skipped;
- depthwise and pointwise convolutions of all edges as grouped convolutions, the part-aware op's linears as batched
  products;
- the mixing weight of an op is the scale of its last, affine-free batch norm;
- ops without parameters are computed once per source and mixed into all targets by one matrix product;
- with partial channels so is what passes by the ops, and the edges' weights are factors of the mixing weights.

Both cell inputs are known from the start and feed the same nodes, so they form one group of S = 2 sources; every
further node is a group of its own. Maps are ``[B, H, W, channels]`` here (channels-last memory), a group's channels
run over (source, target, channel). Letters: S sources, E edges per source (= target nodes), c channels of the cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from search_spaces.auto_reid.cell import INPUTS, cell_edges
from search_spaces.auto_reid.fan import Fan
from search_spaces.auto_reid.fused_ops import is_shared, normalise, scaled_map, shared_map
from search_spaces.auto_reid.grouped_conv import from_tokens, to_tokens
from search_spaces.auto_reid.ops import FactorizedReduce, shift_by_one
from search_spaces.auto_reid.partial import bypass, join


@dataclass(frozen=True)
class Group:
    """The edges that leave one group of sources.

    Args:
        sources: S.
        stride: of these edges.
        rows: their G = S E rows of the decision, source by source, targets in increasing order.
        shared: primitives without parameters.
        scaled: the other primitives, without ``none``.
    """

    sources: int
    stride: int
    rows: tuple[int, ...]
    shared: tuple[str, ...]
    scaled: tuple[str, ...]


class Cell(Protocol):
    """What is used of a ``SearchCell``: its parameters, and how its edges are grouped."""

    @property
    def preprocess(self) -> nn.ModuleList:
        """Of both inputs."""

    @property
    def groups(self) -> Sequence[Group]:
        """As ``edge_groups`` gives them."""

    @property
    def edges(self) -> Any:
        """Row -> the ops of this edge by name."""

    @property
    def partial(self) -> int:
        """k; the ops work on 1/k of the channels."""


class GroupWeights(NamedTuple):
    """Mixing weights of one group: ``shared`` [E, S P] for P shared primitives, ``scaled`` [Q, G] for Q others, and
    with partial channels ``edges`` [E, S]."""

    shared: Tensor
    scaled: Tensor
    edges: Tensor | None


def edge_groups(nodes: int, primitives: Sequence[str], *, is_reduction: bool) -> tuple[Group, ...]:
    """The groups of a cell with B ``nodes``, in the order in which their sources become known."""
    edges = cell_edges(nodes)
    groups = []
    for sources in (range(INPUTS), *((node,) for node in range(INPUTS, INPUTS + nodes - 1))):
        stride = 2 if is_reduction and sources[0] < INPUTS else 1
        rows = tuple(row for source in sources for row, edge in enumerate(edges) if edge.source == source)
        groups.append(Group(len(sources), stride, rows,
                            shared=tuple(name for name in primitives if is_shared(name, stride)),
                            scaled=tuple(name for name in primitives
                                         if name != "none" and not is_shared(name, stride))))
    return tuple(groups)


def group_weights(weights: Tensor, groups: Sequence[Group], primitives: Sequence[str],
                  edges: Tensor | None) -> list[GroupWeights]:
    """Rearrange a decision's mixing weights [rows, K], and those of the edges [rows] if any, once per forward, for all
    its cells."""
    rows = (weights if edges is None else weights * edges[:, None]).unbind()
    arranged = []
    for group in groups:
        columns = dict(zip(primitives, torch.stack([rows[row] for row in group.rows]).unbind(1), strict=True))
        targets, empty = len(group.rows) // group.sources, weights.new_empty(0, len(group.rows))
        shared = torch.stack([columns[name] for name in group.shared], dim=-1) if group.shared else empty.T    # [G, P]
        shared = shared.unflatten(0, (group.sources, targets)).transpose(0, 1).flatten(1)        # [E, S P]
        scaled = torch.stack([columns[name] for name in group.scaled]) if group.scaled else empty
        by_source = None if edges is None else torch.stack([edges[row] for row in group.rows]).view(-1, targets).T
        arranged.append(GroupWeights(shared, scaled, by_source))
    return arranged


def fused_cell(cell: Cell, older: Tensor, newer: Tensor, weights: Sequence[GroupWeights]) -> Tensor:
    """Run a ``SearchCell`` group by group.

    Args:
        cell: the cell whose parameters are used.
        older, newer: [B, C, H, W], the rectified outputs of the cell before the previous one, and of the previous
            one, in channels-last memory.
        weights: of ``group_weights``.

    Returns:
        [B, nodes * c, H', W'] in channels-last memory.
    """
    x = _preprocess(cell.preprocess, older, newer)                                 # [B, 2 c, H, W]
    pending: Tensor | None = None                                                  # [targets left, B, H', W', c]
    passed: Tensor | None = None                                                   # the same, of the other channels
    nodes = []
    for group, group_weight in zip(cell.groups, weights, strict=True):
        rest = None
        if cell.partial > 1:
            x, rest = _split(x, group.sources, cell.partial)
        fan = Fan(x, sources=group.sources, targets=len(group.rows) // group.sources, stride=group.stride)
        pending = _add_group(pending, fan, group, [cell.edges[row] for row in group.rows], group_weight)
        node, pending = pending.split([1, len(pending) - 1])
        nodes.append(node.squeeze(0))
        if rest is not None and group_weight.edges is not None:
            passed = _add_passed(passed, bypass(rest, group.stride), group_weight.edges)
            node, passed = passed.split([1, len(passed) - 1])
            nodes[-1] = join(nodes[-1], node.squeeze(0), cell.partial)
        x = from_tokens(nodes[-1])
    return from_tokens(torch.cat(nodes, dim=-1))


def _preprocess(preprocess: nn.ModuleList, older: Tensor, newer: Tensor) -> Tensor:
    """Both inputs side by side at the cell's width, [B, 2 c, H, W]: one batch norm for all convolutions."""
    first, second = preprocess
    if isinstance(first, FactorizedReduce):
        maps = [first.even(older), first.odd(shift_by_one(older))]
    else:
        maps = [first.get_submodule("conv")(older)]
    return normalise(torch.cat([*maps, second.get_submodule("conv")(newer)], dim=1))


def _split(x: Tensor, sources: int, partial: int) -> tuple[Tensor, Tensor]:
    """Channels that are searched, and the others: [B, S c, H, W] to [B, S c / k, H, W] and [B, S (c - c / k), H, W]."""
    tokens = to_tokens(x).unflatten(-1, (sources, -1))
    width = tokens.shape[-1] // partial
    return from_tokens(tokens[..., :width].flatten(-2)), from_tokens(tokens[..., width:].flatten(-2))


def _add_passed(passed: Tensor | None, rest: Tensor, edges: Tensor) -> Tensor:
    """Add what passes by the edges [E, S] of a group, given for its sources, [B, S C, H', W']: [E, B, H', W', C]."""
    per_source = torch.stack(to_tokens(rest).unflatten(-1, (edges.shape[1], -1)).unbind(-2))
    mixed = edges @ per_source.flatten(1) if passed is None else torch.addmm(passed.flatten(1), edges,
                                                                            per_source.flatten(1))
    return mixed.view(len(edges), *per_source.shape[1:])


def _add_group(pending: Tensor | None, fan: Fan, group: Group, edges: Sequence[nn.ModuleDict],
               weights: GroupWeights) -> Tensor:
    """Add what a group of sources contributes to its E targets: [E, B, H', W', c]."""
    if group.shared:
        pending = _add_shared(pending, fan, group, edges[0], weights.shared)
    if pending is not None and not group.scaled:
        return pending
    # A copy even for G = 1: batch norm's backward on a CPU reads its scale as contiguous memory, unchecked.
    scales = weights.scaled.repeat_interleave(fan.channels, dim=1).unbind()                # Q of [G c]
    scaled = reduce(torch.add, (scaled_map(fan, [edge[name] for edge in edges], scale)
                                for name, scale in zip(group.scaled, scales, strict=True)))
    # With a type of its own: a GPU's autocast would make float32 of the sum, and of all that it is added to.
    tokens = to_tokens(scaled).unflatten(-1, (fan.sources, fan.targets, -1))
    scaled = tokens.sum(-3, dtype=tokens.dtype).permute(3, 0, 1, 2, 4)                     # [E, B, H', W', c]
    return scaled if pending is None else pending.view_as(scaled) + scaled


def _add_shared(pending: Tensor | None, fan: Fan, group: Group, ops: nn.ModuleDict, weights: Tensor) -> Tensor:
    """``pending`` and the part of the ops without parameters, each computed once per source: [E, B, H', W', c]."""
    maps = [to_tokens(shared_map(name, fan, ops[name])).unflatten(-1, (fan.sources, -1)).unbind(-2)
            for name in group.shared]
    stacked = torch.stack([per_source[source] for source in range(fan.sources) for per_source in maps])
    mixed = (weights @ stacked.flatten(1) if pending is None
             else torch.addmm(pending.flatten(1), weights, stacked.flatten(1)))            # [E, B H' W' c]
    return mixed.view(fan.targets, *stacked.shape[1:])
