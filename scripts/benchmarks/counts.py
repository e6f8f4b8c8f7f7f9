"""Dispatched ops and saved bytes of a supernet's step, on the meta device: the same on every machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from nas_reid.nas.memory import SavedTensors
from nas_reid.registry import create_space
from nas_reid.search_space import Mix, SearchSpace

_SPACE = {"channels": 32, "layers": [2, 2, 2, 2], "nodes": 4, "primitives": "reid", "parts": 4,
          "part_attention": "published", "stem": "reid"}
_IMAGES = (16, 3, 384, 128)
_OSNET = {"width": 1.0, "streams": 4, "stream_depth": 0, "convolution": "lite", "fusion": "unified", "stem": "instance",
          "candidates": "separate"}
_OSNET_IMAGES = (16, 3, 256, 128)
_PHASES = {
    "forward and backward": ("all gradients", 5_600, 4.0),
    "weight step": ("mixing weights detached", 5_000, 3.7),
    "architecture step": ("gradients of the alphas alone", 5_200, 3.4),
}


@dataclass(frozen=True)
class Count:
    """Cost of one phase in both executions; (plain, fused) each.

    Args:
        name: of the phase, and what it computes.
        ops: dispatched ops that are no views.
        gib: GiB of distinct tensors saved for the backward pass, parameters apart.
        most_ops, most_gib: what the fused execution may cost; None where nothing was asked.
    """

    name: str
    ops: tuple[int, int]
    gib: tuple[float, float]
    most_ops: int | None = None
    most_gib: float | None = None


class DispatchCount(TorchDispatchMode):
    """Counts dispatched ops that are not views."""

    def __init__(self) -> None:
        super().__init__()
        self.ops = 0

    def __torch_dispatch__(self, op: Any, types: Any, args: tuple[Any, ...] = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        """Count and run."""
        self.ops += not op.is_view
        return op(*args, **(kwargs or {}))


def counts() -> Iterator[Count]:
    """All phases of Auto-ReID's supernet at the paper's configuration, and OSNet-AIN's joint step."""
    for phase, (detail, most_ops, most_gib) in _PHASES.items():
        yield Count(f"{phase} ({detail})", *_costs("auto_reid", _SPACE, phase, _IMAGES), most_ops, most_gib)
    yield Count("OSNet-AIN, forward and backward (all gradients)",
                *_costs("osnet_ain", _OSNET, "forward and backward", _OSNET_IMAGES))


def _costs(space: str, arguments: dict[str, Any], phase: str,
           shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[float, float]]:
    """Ops and saved GiB, (plain, fused) each."""
    plain, fused = (_cost(create_space(space, {**arguments, "execution": execution}), phase, shape)
                    for execution in ("plain", "fused"))
    return (plain[0], fused[0]), (plain[1], fused[1])


def _cost(space: SearchSpace, phase: str, shape: tuple[int, ...]) -> tuple[int, float]:
    """Ops and saved GiB of a forward and backward pass."""
    with torch.device("meta"):
        supernet, images = space.supernet(), torch.empty(shape)
        mixes = {decision.name: Mix(torch.empty(decision.rows, len(decision.choices),
                                                requires_grad=phase != "weight step"))
                 for decision in space.decisions()}
    supernet.requires_grad_(phase != "architecture step")
    supernet(images, mixes)  # fills caches of constants
    saved = SavedTensors(list(supernet.parameters()))
    with DispatchCount() as count, saved_tensors_hooks(saved.pack, lambda tensor: tensor):
        supernet(images, mixes).sum().backward()
    return count.ops, saved.size() / 2**30
