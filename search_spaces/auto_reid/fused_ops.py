"""Each op, run for all edges of a fan at once over the edges' own parameters.

A scaled op returns every edge's output times its mixing weight, which is the scale of its last batch norm; a shared
op has no parameters, so that one map per source serves all edges. Ops without a fused form run edge by edge.
Letters as in ``fused``: S sources, E targets, G = S E edges (source by source), c channels of an edge.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_reid.modules.pointwise import pointwise
from search_spaces.auto_reid.fan import Fan, stripe_selection
from search_spaces.auto_reid.grouped_conv import from_tokens, grouped_conv, to_tokens
from search_spaces.auto_reid.ops import DepthwiseSeparable, FactorizedReduce, SeparableConv, shift_by_one
from search_spaces.auto_reid.part_aware import PublishedPartAware


def is_shared(name: str, stride: int) -> bool:
    """Whether an op has no parameters: pools, and skips at stride 1."""
    return name in ("max_pool_3x3", "avg_pool_3x3") or (name == "skip_connect" and stride == 1)


def shared_map(name: str, fan: Fan, op: nn.Module) -> Tensor:
    """Output [B, S c, H', W'] of an op without parameters, for all targets."""
    return fan.x if name == "skip_connect" else normalise(next(op.children())(fan.x))  # the pool, without its norm


def scaled_map(fan: Fan, ops: Sequence[nn.Module], scale: Tensor) -> Tensor:
    """Weighted output [B, G c, H', W'] of one primitive on all edges.

    Args:
        fan: sources and targets.
        ops: the G modules.
        scale: [G c], mixing weight of each edge, repeated over its channels.
    """
    if fused := _FUSED.get(type(ops[0])):  # no subclass, whose forward may be another
        return fused(fan, ops, scale)
    sources = fan.x.chunk(fan.sources, dim=1)
    outputs = [op(sources[edge // fan.targets]) for edge, op in enumerate(ops)]
    return torch.cat(outputs, dim=1) * scale[:, None, None]


def normalise(x: Tensor, scale: Tensor | None = None) -> Tensor:
    """Batch norm with batch statistics; ``scale`` [channels] is where mixing weights are folded in."""
    return F.batch_norm(x, None, None, scale, training=True)


def _separable(fan: Fan, ops: Sequence[DepthwiseSeparable], scale: Tensor | None) -> Tensor:
    return _stage(fan.rectified, ops, scale, sources=fan.sources, targets=fan.targets)


def _two_separable(fan: Fan, ops: Sequence[SeparableConv], scale: Tensor) -> Tensor:
    first, second = (cast(Sequence[DepthwiseSeparable], stage) for stage in zip(*ops, strict=True))
    return _stage(F.relu(_separable(fan, first, None)), second, scale, sources=len(ops), targets=1)


def _stage(x: Tensor, ops: Sequence[DepthwiseSeparable], scale: Tensor | None, *, sources: int,
           targets: int) -> Tensor:
    """Depthwise and pointwise convolution and norm of G edges that leave S sources, [B, S c, H, W]."""
    first = ops[0].depthwise
    depthwise = torch.cat([op.depthwise.weight for op in ops])
    x = grouped_conv(x, depthwise, groups=len(depthwise), stride=first.stride[0], padding=first.padding[0],
                     dilation=first.dilation[0], sources=sources, targets=targets)
    x = grouped_conv(x, torch.cat([op.pointwise.weight for op in ops]), groups=len(ops))
    return normalise(x, scale)


def _reduce(fan: Fan, ops: Sequence[FactorizedReduce], scale: Tensor) -> Tensor:
    even = pointwise(fan.rectified, torch.cat([op.even.weight for op in ops]), stride=2, groups=fan.sources)
    odd = pointwise(shift_by_one(fan.rectified), torch.cat([op.odd.weight for op in ops]), stride=2,
                    groups=fan.sources)
    return normalise(_join_halves(even, odd, edges=len(ops)), scale)


def _join_halves(even: Tensor, odd: Tensor, *, edges: int) -> Tensor:
    """Concatenate the halves [B, G c / 2, H', W'] edge by edge: [B, G c, H', W']."""
    halves = [to_tokens(half).unflatten(-1, (edges, -1)) for half in (even, odd)]
    return from_tokens(torch.cat(halves, dim=-1).flatten(3))


def _part_aware(fan: Fan, ops: Sequence[PublishedPartAware], scale: Tensor) -> Tensor:
    """The fusing 1x1 convolution acts on [map, vectors]; its two parts are summed: W_x x + W_v v."""
    vectors = part_vectors(fan, ops)                                             # [G, B M, h]
    select = stripe_selection(fan.x.shape[2], ops[0].parts, fan.x.dtype, fan.x.device).select
    if fan.stride == 1:
        convs = cast(Sequence[nn.Conv2d], [next(op.fuse.children()) for op in ops])
        return normalise(_fuse(fan, fan.x, vectors, convs, select), scale)
    vectors = F.relu(vectors)
    height, width = fan.x.shape[2:]
    halves = [cast(FactorizedReduce, op.fuse) for op in ops]
    even = _fuse(fan, fan.rectified, vectors, [half.even for half in halves], select[::2])
    # FactorizedReduce pads the concatenation with zeros on odd sizes, so the vectors end at the same pixels.
    odd = _fuse(fan, shift_by_one(fan.rectified), vectors, [half.odd for half in halves],
                F.pad(select[1::2], (0, 0, 0, height % 2)), padded_columns=width % 2)
    return normalise(_join_halves(even, odd, edges=len(ops)), scale)


def _fuse(fan: Fan, x: Tensor, vectors: Tensor, convs: Sequence[nn.Conv2d], select: Tensor, *,
          padded_columns: int = 0) -> Tensor:
    """W_x x + W_v v with one [W_x | W_v] per edge; the second term is the same for all pixels of a stripe.

    Args:
        fan: sources and targets.
        x: [B, S c, H, W].
        vectors: v, [G, B M, h].
        convs: the G 1x1 convolutions, to o channels.
        select: [H', M], stripe of each output row; zeros for a padded row.
        padded_columns: columns at the right end of the output that see no vector.

    Returns:
        [B, G o, H', W'].
    """
    weight = torch.stack([conv.weight.flatten(1) for conv in convs])             # [G, o, c + h]
    on_map, on_vectors = weight.split([fan.channels, weight.shape[-1] - fan.channels], dim=-1)
    fused = pointwise(x, on_map.flatten(0, 1)[..., None, None], stride=convs[0].stride[0], groups=fan.sources)
    per_stripe = torch.bmm(vectors, on_vectors.mT)                               # [G, B M, o]
    per_stripe = per_stripe.unflatten(1, (len(x), -1)).permute(1, 2, 0, 3).flatten(2)      # [B, M, G o]
    rows = from_tokens(torch.bmm(select.expand(len(x), -1, -1), per_stripe)[:, :, None])   # [B, G o, H', 1]
    if padded_columns:
        rows = F.pad(rows.expand(-1, -1, -1, fused.shape[-1] - padded_columns), (0, padded_columns))
    return fused + rows


def part_vectors(fan: Fan, ops: Sequence[PublishedPartAware]) -> Tensor:
    """The attended stripe vectors of all edges, [G, B M, h]."""
    parts, batch, edges = ops[0].parts, len(fan.x), len(ops)
    stripes = F.relu(fan.stripes(parts)).unflatten(-1, (fan.sources, -1)).permute(1, 2, 3, 0).flatten(0, 1)
    weight = torch.stack([op.project.weight.view(parts, -1, fan.channels) for op in ops], dim=1)  # [M, G, h, c]
    bias = torch.stack([cast(Tensor, op.project.bias).view(parts, -1) for op in ops], dim=1)      # [M, G, h]
    hidden, groups = bias.shape[-1], parts * fan.sources
    projected = torch.baddbmm(bias.view(groups, -1, 1), weight.view(groups, -1, fan.channels), stripes)
    # These norms average over the batch only: as [1, M G h, B] it is a map of one sample.
    normed = normalise(projected.view(1, -1, batch)).view(parts, edges, hidden, batch)
    features = normed.permute(1, 3, 0, 2).contiguous().view(edges, batch * parts, hidden)
    weight = torch.stack([op.keys_and_queries.weight for op in ops])
    bias = torch.stack([op.keys_and_queries.bias for op in ops])[:, None]
    keys, queries = torch.baddbmm(bias, features, weight.mT).view(-1, parts, 2 * hidden).chunk(2, dim=-1)
    attention = torch.softmax(torch.bmm(keys, queries.mT), dim=-1)                                # [G B, M, M]
    return torch.bmm(attention, features.view(-1, parts, hidden)).view(edges, -1, hidden)


# module class -> (fan, the G modules, scale [G c]) -> [B, G c, H', W']
_FUSED: dict[type[nn.Module], Callable[[Fan, Sequence[Any], Tensor], Tensor]] = {
    SeparableConv: _two_separable,
    DepthwiseSeparable: _separable,
    FactorizedReduce: _reduce,
    PublishedPartAware: _part_aware,
}
