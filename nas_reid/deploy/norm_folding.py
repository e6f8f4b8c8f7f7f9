"""Batch norms folded into the convolutions and linear layers before them.

In evaluation mode a batch norm multiplies each channel by a constant and adds another, which the layer before it can do
itself: w' = w s and b' = (b - mean) s + shift, with s = scale / sqrt(variance + eps). That is exact where nothing but
the batch norm reads the layer's output. Which layer that is, and who else reads, is seen by running the network once,
not guessed from names; so it does not matter how a network's forward is written. It runs on its own device: on the meta
device torch needs its compiler, whose import takes longer than the run.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_LAYERS = (torch.conv1d, torch.conv2d, torch.conv3d, F.linear)
_JOINS = (torch.cat, torch.concat, torch.concatenate)
_SPLITS = (torch.split, torch.Tensor.split, torch.chunk, torch.Tensor.chunk)
_FOLDABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@dataclass(frozen=True)
class _Rows:
    """Output channels ``start`` to ``stop`` of a layer."""

    layer: str
    start: int
    stop: int


@dataclass(frozen=True)
class _Channels:
    """Where the channels of a tensor come from.

    Args:
        rows: the layers' channels, side by side.
        through: ids of the tensors on the way, and of the layers' weights; each must have one reader only.
    """

    rows: tuple[_Rows, ...]
    through: frozenset[int]

    def piece(self, start: int, stop: int, through: int) -> "_Channels":
        """Channels ``start`` to ``stop`` as the tensor ``through``."""
        rows, position = [], 0
        for part in self.rows:
            first, last = max(start - position, 0), min(stop - position, part.stop - part.start)
            if first < last:
                rows.append(_Rows(part.layer, part.start + first, part.start + last))
            position += part.stop - part.start
        return _Channels(tuple(rows), self.through | {through})


class _Wiring(TorchFunctionMode):
    """Watches a forward pass: what every batch norm reads, and how often every tensor is read.

    Args:
        names: id of a parameter or buffer -> its name.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self.readers: Counter[int] = Counter()
        self.norms: list[tuple[str, _Channels]] = []
        self._names = names
        self._channels: dict[int, _Channels] = {}
        self._alive: list[Any] = []  # ids are compared, so no tensor may die before the end

    def __torch_function__(self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        """Called in place of every function of torch."""
        result = func(*args, **(kwargs or {}))
        if func is torch.Tensor.contiguous and result is args[0]:
            return result
        self._alive.append((args, result))
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):  # else a size or the like was read
            self.readers.update(id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        self._follow(func, args, kwargs or {}, result)
        return result

    def _follow(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        known = self._channels.get(id(args[0])) if args else None
        if func in _LAYERS and (func is not F.linear or result.ndim == 2):
            layer, _, entry = self._names.get(id(args[1]), "").rpartition(".")
            if entry == "weight":
                self._channels[id(result)] = _Channels((_Rows(layer, 0, result.shape[1]),),
                                                       frozenset({id(result), id(args[1])}))
        elif func is F.batch_norm and known is not None and not kwargs.get("training"):
            norm, _, entry = self._names.get(id(args[1]), "").rpartition(".")
            if entry == "running_mean":
                self.norms.append((norm, _Channels(known.rows, known.through | {id(args[1])})))
        elif func in _JOINS and _dimension(args[1:], kwargs) == 1:
            parts = [self._channels[id(part)] for part in args[0] if id(part) in self._channels]
            if len(parts) == len(args[0]):
                self._channels[id(result)] = _Channels(tuple(row for part in parts for row in part.rows),
                                                       frozenset({id(result)}).union(*(p.through for p in parts)))
        elif func in _SPLITS and known is not None and _dimension(args[2:], kwargs) == 1:
            start = 0
            for piece in result:
                self._channels[id(piece)] = known.piece(start, start + piece.shape[1], id(piece))
                start += piece.shape[1]
        elif func is torch.Tensor.contiguous and known is not None:
            self._channels[id(result)] = _Channels(known.rows, known.through | {id(result)})


def _dimension(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    return args[0] if args else kwargs.get("dim", 0)


def fold_norms(network: nn.Module, image_size: tuple[int, int]) -> int:
    """Fold, in place, every batch norm whose input is a layer's output that nothing else reads.

    Between the two there may be a concatenation along the channels, a split of them (the batch half of IBN), or both.
    Batch norms without running statistics and instance norms stay, and so do batch norms behind anything else.

    Args:
        network: in evaluation mode; takes images [B, 3, H, W].
        image_size: (height, width) of images that it accepts.

    Returns:
        How many batch norms were folded; they are identities now.
    """
    folded = 0
    while found := list(_foldable(network, image_size)):  # again, for a batch norm behind a batch norm
        for norm, rows in found:
            _fold(network, norm, rows)
        folded += len(found)
    return folded


def _foldable(network: nn.Module, image_size: tuple[int, int]) -> Iterator[tuple[str, tuple[_Rows, ...]]]:
    state = (*network.named_parameters(), *network.named_buffers())
    wiring = _Wiring({id(tensor): name for name, tensor in state})
    # Of the network's type and place, and two of them, as a supernet's batch norms refuse a single one.
    images = next(network.parameters()).new_zeros(2, 3, *image_size)
    with torch.no_grad(), wiring:
        network(images)
    taken: set[str] = set()  # one fold per layer and pass
    for norm, channels in wiring.norms:
        layers = {part.layer for part in channels.rows}
        modules = [network.get_submodule(layer) for layer in layers]
        if (all(wiring.readers[tensor] == 1 for tensor in channels.through) and type(network.get_submodule(norm))
                in _NORMS and all(isinstance(module, _FOLDABLE) for module in modules) and not layers & taken):
            taken |= layers
            yield norm, channels.rows


def _fold(network: nn.Module, norm: str, rows: Sequence[_Rows]) -> None:
    bn, position = cast(nn.BatchNorm2d, network.get_submodule(norm)), 0  # or of another number of dimensions
    scale = (bn.get_buffer("running_var").double() + bn.eps).rsqrt()
    if bn.weight is not None:
        scale = scale * bn.weight.double()
    shift = -bn.get_buffer("running_mean").double() * scale
    if bn.bias is not None:
        shift = shift + bn.bias.double()
    for part in rows:
        width = part.stop - part.start
        _scale_rows(cast(nn.Linear, network.get_submodule(part.layer)), slice(part.start, part.stop),
                    scale[position:position + width], shift[position:position + width])
        position += width
    parent, _, leaf = norm.rpartition(".")
    setattr(network.get_submodule(parent), leaf, nn.Identity())


def _scale_rows(layer: nn.Linear, rows: slice, scale: Tensor, shift: Tensor) -> None:
    """Give output channels of a layer (or a convolution) a factor and a summand, computed in float64."""
    weight = layer.weight.detach().double().clone()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().double().clone()
    weight[rows] *= scale.view(-1, *[1] * (weight.ndim - 1))
    bias[rows] = bias[rows] * scale + shift
    dtype = layer.weight.dtype
    layer.weight, layer.bias = (nn.Parameter(tensor.to(dtype), requires_grad=False) for tensor in (weight, bias))
