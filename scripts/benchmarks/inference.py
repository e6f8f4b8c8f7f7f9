"""One image through OSNet and through a retrained cell: prepared for inference against the network as trained."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from benchmarks.measurement import Comparison, Setting
from nas_reid.modules.head import head_arguments
from nas_reid.network.model import build_network
from nas_reid.registry import load_genotype, space_of

_MODULE, _FUNCTION = "nas_reid.deploy.inference", "fold"
_NETWORKS = {
    "OSNet x1.0": ("osnet_ain/plain", {"width": 1.0}, (256, 128), "≥ 1.8×"),
    "OSNet x0.25": ("osnet_ain/plain", {"width": 0.25}, (256, 128), "≥ 1.8×"),
    "Auto-ReID's published cells": ("auto_reid/retrieval", {}, (384, 128), ""),
}
_REPEATS = 20


def inference(setting: Setting) -> Iterator[Comparison]:
    """Batches of one image; nothing where the library cannot prepare networks for inference."""
    if find_spec(_MODULE) is None:
        return
    prepare: Callable[[nn.Module], nn.Module] = getattr(import_module(_MODULE), _FUNCTION)
    for name, (reference, changes, size, asked) in _NETWORKS.items():
        genotype = load_genotype(reference)
        space = space_of(genotype, changes)
        plain = build_network(space.network(genotype), 1, **head_arguments({}, space)).eval().to(setting.device)
        image = torch.randn(1, 3, *size, device=setting.device)
        yield Comparison(f"{name}, {_REPEATS} × 1 image of {size[0]}×{size[1]}", _repeated(prepare(deepcopy(plain)),
                         image), _repeated(plain, image), "the network as trained, PyTorch's default layout", asked)


def _repeated(network: nn.Module, image: Tensor) -> Callable[[], None]:
    @torch.inference_mode()
    def run() -> None:
        for _ in range(_REPEATS):
            network(image)

    return run
