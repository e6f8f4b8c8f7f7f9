"""Maps of a fused supernet stay bfloat16, also where a GPU's autocast would widen them.

A CPU's autocast has another list of operations that it computes in float32. Of those on a GPU's list, which torch's
documentation of autocast gives, none may see a map, unless it is told the type. What attends to parts is small.
"""

from collections.abc import Callable, Mapping
from typing import Any

import hydra
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nas_reid.registry import create_searchable
from nas_reid.run.composition import config_dir, prepare
from nas_reid.search_space import Mix
from tests.composing import settings as composed

WIDENED = ("sum", "prod", "pow", "softmax", "_softmax", "group_norm", "native_group_norm", "layer_norm",
           "native_layer_norm", "norm", "linalg_vector_norm", "exp", "rsqrt", "reciprocal", "cumsum", "log")
SPACES = {"auto_reid": ("space.channels=4", "space.layers=[1,1]", "space.nodes=2", "space.execution=fused"),
          "osnet_ain": ("space.width=0.25", "space.streams=2", "space.execution=fused"),
          "nfs": ("space.width=0.0625",), "norm_sites": ("space.width=0.0625",)}
A_MAP = 512  # numbers of the smallest one here


class Widened(TorchDispatchMode):
    """Notes the operations that a GPU's autocast would give float32 maps."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        if (name in WIDENED and args[0].dtype == torch.bfloat16 and args[0].numel() >= A_MAP
                and kwargs.get("dtype") is None):
            self.found.add(name)
        return func(*args, **kwargs)


@pytest.mark.parametrize("name", SPACES)
def test_maps_stay_narrow(name: str) -> None:
    prepare()
    with hydra.initialize_config_dir(config_dir(), version_base="1.3"):
        space = create_searchable(composed("search", f"space={name}", *SPACES[name]).space)
    mixes = {decision.name: Mix(torch.full((decision.rows, len(decision.choices)), 1 / len(decision.choices)))
             for decision in space.decisions()}
    run: Callable[..., Tensor] = space.supernet()
    images = torch.randn(2, 3, 64, 32).contiguous(memory_format=torch.channels_last)
    modality = torch.arange(2) if name in ("nfs", "norm_sites") else None
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), Widened() as widened:
        assert run(images, mixes, modality=modality).dtype == torch.bfloat16
    assert not widened.found
