"""Parameters and multiply-accumulates of a network, counted on the meta device: nothing is computed or allocated.

Convention: multiply-accumulates (MACs) per image of convolutions and linear layers in the forward pass, as re-ID
papers report under the name FLOPs. Norms, activations, pooling and attention products are not counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas_reid.network.mac_counter import MacCounter

# A batch of two, because a batch norm that uses batch statistics refuses a single value per channel.
_BATCH = 2


@dataclass(frozen=True)
class Stage:
    """One row of ``stage_table``.

    Args:
        name: dotted module name.
        output_shape: of one image, for example (C, H, W); empty when the module does not return one tensor.
        params: number of parameters.
        macs: multiply-accumulates per image.
    """

    name: str
    output_shape: tuple[int, ...]
    params: int
    macs: int


def count_parameters(module: nn.Module) -> int:
    """Number of parameters, each shared one counted once."""
    return sum(parameter.numel() for parameter in module.parameters())


def size_of(module: nn.Module, image_size: Sequence[int]) -> dict[str, int]:
    """What a network costs, as results name it: ``params`` and ``macs`` per image of (H, W) pixels."""
    height, width = image_size
    return {"params": count_parameters(module), "macs": count_macs(module, (height, width))}


def count_macs(module: nn.Module, image_size: tuple[int, int], **arguments: Any) -> int:
    """MACs per image.

    Args:
        module: a network that takes images [B, 3, H, W]; on any device, left unchanged.
        image_size: (H, W) in pixels.
        arguments: further arguments of its forward; tensors on the meta device.
    """
    return count_macs_of(module, _images(image_size), **arguments)


def count_macs_of(module: nn.Module, x: Tensor, **arguments: Any) -> int:
    """MACs per sample of ``module(x)``, with ``x`` [B, ...] on the meta device."""
    with MacCounter() as counter:
        _call_on_meta(module, x, arguments)
    return counter.macs // len(x)


def stage_table(module: nn.Module, image_size: tuple[int, int], *, depth: int = 1, **arguments: Any) -> list[Stage]:
    """What each stage of a network returns and costs, in order of execution.

    Args:
        module: as for ``count_macs``.
        image_size: (H, W) in pixels.
        depth: 1 for the module's children, 2 for theirs, ...; lists of modules do not count as a level.
        arguments: further arguments of the forward.
    """
    stages: list[Stage] = []
    started: dict[str, int] = {}
    with MacCounter() as counter:
        handles = []
        for name, child in _stages(module, depth):
            def before(_: nn.Module, __: Any, name: str = name) -> None:
                """Hook: what was counted when a stage began."""
                started[name] = counter.macs

            def after(child: nn.Module, _: Any, output: Any, name: str = name) -> None:
                """Hook: what the stage took."""
                shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
                stages.append(Stage(name, shape, count_parameters(child), (counter.macs - started[name]) // _BATCH))

            handles += [child.register_forward_pre_hook(before), child.register_forward_hook(after)]
        try:
            _call_on_meta(module, _images(image_size), arguments)
        finally:
            for handle in handles:
                handle.remove()
    return stages


def _stages(module: nn.Module, depth: int, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Named modules at ``depth``, or above it where a branch ends earlier."""
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from _stages(child, depth, f"{prefix}{name}.")
        elif depth > 1 and any(True for _ in child.children()):
            yield from _stages(child, depth - 1, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _images(image_size: tuple[int, int]) -> Tensor:
    return torch.empty(_BATCH, 3, *image_size, device="meta")


def _call_on_meta(module: nn.Module, x: Tensor, arguments: dict[str, Any]) -> None:
    """Call with every parameter and buffer replaced by one on the meta device, so the module itself stays as it is."""
    state = {name: tensor.detach().to("meta")
             for source in (module.named_parameters(), module.named_buffers()) for name, tensor in source}
    with torch.no_grad():
        functional_call(module, state, (x,), arguments)
