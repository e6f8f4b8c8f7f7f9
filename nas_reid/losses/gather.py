"""The batch of all processes, so that losses which compare images mine as if one process had it all."""

from typing import Any

import torch
from torch import Tensor, distributed

from nas_reid.losses.loss import LossInput


def gather_batch(batch: LossInput) -> LossInput:
    """Features, labels and modalities of all processes, in order of rank; the batch itself where there is one process.

    The gradient goes back to the process that a row came from, summed over the processes that used it. Every process
    computes the same loss of the gathered batch; averaging the gradients of the parameters over the processes, as
    ``DistributedDataParallel`` does, hence gives the gradient that a single process would have. ``logits`` stay those
    of this process. All processes must hold equally many rows.
    """
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return batch
    modalities = None if batch.modalities is None else _gather(batch.modalities)
    return LossInput(_Gather.apply(batch.features), batch.logits, _gather(batch.labels), modalities)


def _gather(x: Tensor) -> Tensor:
    parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, x.contiguous())
    return torch.cat(parts)


class _Gather(torch.autograd.Function):
    """[B, ...] of each process -> [B · processes, ...]. Its adjoint is ``_SumShare``, and the other way round."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _gather(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _SumShare.apply(gradient)


class _SumShare(torch.autograd.Function):
    """[B · processes, ...] of each process -> their sum's rows that belong to this process, [B, ...]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()].clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Gather.apply(gradient)
