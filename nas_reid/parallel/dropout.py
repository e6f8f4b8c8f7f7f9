"""Dropout of a part of a batch as it is of the whole: an image is treated by its place in the batch, whoever has it."""

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor
from torch.nn import functional

from nas_reid.parallel.processes import rank, world

FORMS = (functional.dropout, functional.dropout1d, functional.dropout2d, functional.dropout3d)
"""Those that multiply by a mask."""


def dropped(form: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``form`` for the rows of all processes, of which each keeps its own.

    The processes' generators must stand where a single one's would. All draw the whole mask, which is laid out in
    memory as the whole batch would be, so that a single process draws the same.

    Args:
        form: one of ``FORMS``.

    Returns:
        A function of the same arguments; x [B, ...] is this process's part, as long as the others'.
    """
    @wraps(form)
    def drop(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """As ``form`` of all processes' rows; this process's, [B, ...]."""
        if not training or not p or input.is_meta:
            return form(input, p, training, inplace)
        mask = form(_ones(input), p, True).chunk(world())[rank()]
        return input.mul_(mask) if inplace else input * mask

    return drop


def _ones(x: Tensor) -> Tensor:
    """Ones [B of all processes, ...] in the memory order of x."""
    is_last = x.ndim == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.ones(len(x) * world(), *x.shape[1:], dtype=x.dtype, device=x.device).contiguous(
        memory_format=torch.channels_last if is_last else torch.contiguous_format)
