"""A trained network prepared for inference: the same numbers from fewer and larger operations."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from nas_reid.deploy.norm_folding import fold_norms
from nas_reid.network.execution import in_channels_last
from nas_reid.search_space import PreparesForInference


def fold(network: nn.Module, *, image_size: tuple[int, int] = (256, 128)) -> nn.Module:
    """A copy of ``network`` for inference with PyTorch; equal up to rounding, the original is left as it is.

    Batch norms are folded as by ``folded_norms``. Then every module that offers ``for_inference()`` is replaced by what
    that returns: a search space's network, or any part of it, may so have a faster form that does not train. Weights
    are in channels-last memory.

    Args:
        network: takes images [B, 3, H, W] and returns embeddings in evaluation mode; or such a network's trunk.
        image_size: (height, width) of images that it accepts; the wiring is read off a pass over two of them.
    """
    return in_channels_last(_prepared(folded_norms(network, image_size=image_size)))


def folded_norms(network: nn.Module, *, image_size: tuple[int, int] = (256, 128)) -> nn.Module:
    """A copy of ``network`` in evaluation mode whose batch norms are folded into the layers before them.

    That is done where it is exact, see ``norm_folding``. Otherwise the copy is made of the same modules, as compilers
    and exporters want it: they find larger operations by themselves. Arguments as for ``fold``.
    """
    folded = deepcopy(network).eval().requires_grad_(False)
    fold_norms(folded, image_size)
    return folded


def _prepared(module: nn.Module) -> nn.Module:
    if isinstance(module, PreparesForInference):
        module = module.for_inference()
    if isinstance(module, nn.InstanceNorm2d) and not module.track_running_stats:
        return _InstanceNorm(module)
    for name, child in module.named_children():
        setattr(module, name, _prepared(child))
    return module


class _InstanceNorm(nn.Module):
    """``nn.InstanceNorm2d`` that stays in channels-last memory, where torch's own moves the map to and fro."""

    weight: Tensor
    bias: Tensor

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__()
        self.eps = norm.eps
        ones = torch.ones(norm.num_features)
        self.register_buffer("weight", (ones if norm.weight is None else norm.weight)[:, None, None])
        self.register_buffer("bias", (0 * ones if norm.bias is None else norm.bias)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W], the same shape out."""
        centred = x - x.mean((2, 3), keepdim=True)
        variance = centred.square().mean((2, 3), keepdim=True)  # of the centred map: a difference of means cancels
        return centred.mul_(self.weight * (variance + self.eps).rsqrt()).add_(self.bias)
