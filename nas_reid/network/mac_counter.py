"""Multiply-accumulates of what runs on the meta device, each op on equal shapes worked out once per process."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_COUNTED = (torch.ops.aten.convolution, torch.ops.aten.mm, torch.ops.aten.addmm)


class _Meta(NamedTuple):
    """What a tensor on the meta device is."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def make(self) -> Tensor:
        """A tensor without values of that shape and memory order."""
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


class _Outcome(NamedTuple):
    """What an op returns, and the multiply-accumulates of all samples of its batch."""

    outputs: Any
    macs: int


class MacCounter(TorchDispatchMode):
    """Adds the MACs of convolutions and matrix products to ``macs`` while it is entered; of all samples of a batch.

    On the meta device the shape of an output depends on nothing but the op and its arguments' shapes, strides and
    types, so that both are remembered: PyTorch works out a batch norm's shape in a millisecond of Python, and the
    networks of a space consist of the same few ops.
    """

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        """Run an op, or return what it would; called by PyTorch."""
        named = kwargs or {}
        key = func, _described(args), tuple((name, _described(value)) for name, value in named.items())
        known = _outcomes().get(key)
        if known is not None:
            self.macs += known.macs
            return _each(known.outputs, _Meta, _Meta.make)
        with self:  # in inference mode a linear layer arrives as an op of its own; what it consists of is counted
            outputs = func.decompose(*args, **named)
        if outputs is not NotImplemented:
            return outputs
        outputs = func(*args, **named)
        macs = (flop_registry[func._overloadpacket](*args, **named, out_val=outputs) // 2
                if func._overloadpacket in _COUNTED else 0)
        self.macs += macs
        if _can_be_made_again(func, outputs):
            _outcomes()[key] = _Outcome(_each(outputs, Tensor, _meta), macs)
        return outputs


@cache
def _outcomes() -> dict[Any, _Outcome]:
    return {}


def _described(value: Any) -> Any:
    """A hashable stand-in, equal for arguments that give outputs of equal shape."""
    if isinstance(value, Tensor):
        return value.device.type, _meta(value)
    if isinstance(value, list | tuple):
        return tuple(map(_described, value))
    return type(value), value  # 1, 1.0 and True are equal, and promote otherwise


def _can_be_made_again(func: Any, outputs: Any) -> bool:
    """Whether the outputs are new meta tensors: not an argument that was written to, not numbers to be read."""
    if any(result.alias_info is not None and result.alias_info.is_write for result in func._schema.returns):
        return False
    flat = outputs if isinstance(outputs, list | tuple) else [outputs]
    return all(value is None or (isinstance(value, Tensor) and value.is_meta) for value in flat)


def _meta(tensor: Tensor) -> _Meta:
    return _Meta(tuple(tensor.shape), tensor.stride(), tensor.dtype)


def _each(value: Any, kind: type, function: Callable[[Any], Any]) -> Any:
    """``function`` of the value, or of each of several, where they are of the kind."""
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, list | tuple):
        return type(value)(_each(each, kind, function) for each in value)
    return value
