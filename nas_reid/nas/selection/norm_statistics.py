"""Batch norms of a path: what running statistics of all paths together cannot be."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas_reid.data.batches import Batch


def norms_with_statistics(network: nn.Module) -> list[_BatchNorm]:
    """The batch norms that evaluate with running statistics; those without use the batch's and need nothing."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]


@torch.no_grad()
def reestimate(network: nn.Module, run: Callable[[Batch], object], batches: Iterable[Batch]) -> None:
    """Replace running statistics by their mean over ``batches``, as SPOS does before it looks at a path (Guo et al.,
    2020, section 3.3). Every module keeps its training flag; nothing happens where no norm has statistics.

    Args:
        network: whose norms are changed.
        run: a forward pass of the path that is looked at.
        batches: training images.
    """
    norms = norms_with_statistics(network)
    if not norms:
        return
    modes, momenta = {module: module.training for module in network.modules()}, [norm.momentum for norm in norms]
    try:
        network.train()
        for norm in norms:
            norm.reset_running_stats()
        for position, batch in enumerate(batches):
            for norm in norms:
                norm.momentum = 1 / (position + 1)  # a plain mean, also where a fused form reads the momentum
            run(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
