"""What the processes' tensors are together: means of gradients, rows in order of rank, sums.

The processes hold equal parts of a batch, and process r differentiates its own loss L_r, the whole batch's loss being
their mean. What passes between them is differentiable any number of times, each adjoint being summed over the
processes: process r then holds its part of the gradient of sum_r L_r, and the mean over the processes (``average``) is
the gradient that one process would have. A loss of gathered rows, which is the same in every process, fits in.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from nas_reid.parallel.processes import contact, rank, world
from nas_reid.parallel.turns import everyones

_Items = TypeVar("_Items", bound=Sequence[Any] | Tensor)


def average(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The mean of each tensor over the processes, without a graph and of the same bits in all; alone, the tensors.

    Args:
        tensors: floating point, of the same shapes in every process.
    """
    if world() == 1:
        return list(tensors)
    kinds: dict[tuple[torch.dtype, torch.device], list[int]] = {}
    for position, tensor in enumerate(tensors):
        kinds.setdefault((tensor.dtype, tensor.device), []).append(position)
    means: dict[int, Tensor] = {}
    for positions in kinds.values():
        together = torch.cat([tensors[position].detach().reshape(-1) for position in positions])
        with contact():
            distributed.all_reduce(together)
        together /= world()
        parts = together.split([tensors[position].numel() for position in positions])
        means |= {position: part.view(tensors[position].shape) for position, part in zip(positions, parts, strict=True)}
    return [means[position] for position in range(len(tensors))]


def average_gradients(*modules: nn.Module) -> None:
    """``average`` the gradients of the modules' parameters; those without one have none in any process."""
    _average_in_place([parameter.grad for module in modules for parameter in module.parameters()
                       if parameter.grad is not None])


def average_buffers(*modules: nn.Module) -> None:
    """``average`` what norms remember of batches, which is the same already where norms see the whole batch."""
    _average_in_place([buffer for module in modules for buffer in module.buffers() if buffer.is_floating_point()])


def gather(x: Tensor) -> Tensor:
    """[B, ...] of each process -> [B · processes, ...] in order of rank, differentiable. All have equally many rows."""
    if world() == 1:
        return x
    joined: Tensor = _Gather.apply(x)
    return joined


def total(x: Tensor) -> Tensor:
    """The sum over the processes, differentiable."""
    if world() == 1:
        return x
    summed: Tensor = _Total.apply(x)
    return summed


def join(rows: Tensor | None) -> Tensor | None:
    """Rows [n_r, ...] of all processes in order of rank, on the CPU; None where no process has any.

    Args:
        rows: of this process, as many as it has, without gradient; None: it has none and knows no shape.
    """
    if world() == 1:
        return rows
    shapes = everyones(None if rows is None else (tuple(rows.shape), rows.dtype))
    known = [shape for shape in shapes if shape is not None]
    if not known:
        return None
    counts = [0 if shape is None else shape[0][0] for shape in shapes]
    (_, *rest), dtype = known[0]
    padded = torch.zeros(max(counts), *rest, dtype=dtype)
    if rows is not None:
        padded[:len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in counts]
    with contact():
        distributed.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def own_part(items: _Items) -> _Items:
    """This process's consecutive part of a sequence or of a tensor's rows; parts differ in length by one at most."""
    part: Any = items[own_slice(len(items))]
    return part


def own_slice(count: int) -> slice:
    """Where this process's part of ``count`` things is, see ``own_part``."""
    short, longer = divmod(count, world())
    first = rank() * short + min(rank(), longer)
    return slice(first, first + short + (rank() < longer))


@torch.no_grad()
def _average_in_place(tensors: Sequence[Tensor]) -> None:
    for tensor, mean in zip(tensors, average(tensors), strict=True):
        if tensor is not mean:
            tensor.copy_(mean)


def _joined(x: Tensor) -> Tensor:
    parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(world())]
    with contact():
        distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def _summed(x: Tensor) -> Tensor:
    result = x.clone(memory_format=torch.contiguous_format)
    with contact():
        distributed.all_reduce(result)
    return result


class _Gather(torch.autograd.Function):
    """Its adjoint is ``_SumShare``, and the other way round."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """All processes' rows."""
        return _joined(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """This process's share of the summed gradient."""
        return _SumShare.apply(gradient)


class _SumShare(torch.autograd.Function):
    """[B · processes, ...] of each process -> their sum's rows that belong to this process, [B, ...]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """This process's rows of the sum."""
        return _summed(x).chunk(world())[rank()].clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """All processes' gradients, joined."""
        return _Gather.apply(gradient)


class _Total(torch.autograd.Function):
    """The sum over the processes, which is its own adjoint."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The sum over all processes."""
        return _summed(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The summed gradient."""
        return _Total.apply(gradient)
