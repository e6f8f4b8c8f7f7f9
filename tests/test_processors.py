"""Networks of one to eight channels train whatever the processor: every backbone and space, also with oneDNN's kernels
for processors without AVX-512 and without AVX."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nas_reid.registry import create_space, known_spaces, load_genotype
from nas_reid.search_space import Mix, SearchSpace

IMAGES = (8, 3, 64, 32)
RESNET = dict(load_genotype("resnet/resnet18").arguments)
NFS = {**load_genotype("nfs/open").arguments, "image_size": [32, 16], "last_stride": 2, "derivation": "top_k",
       "ratio": {"channels": 0.6, "pixels": 0.9}}
CELLS = {"layers": [1, 1, 1], "nodes": 2, "parts": 2, "part_attention": "published", "stem": "reid"}
OSNET = {"streams": 2, "stream_depth": 0, "convolution": "lite", "fusion": "addition", "stem": "instance",
         "candidates": "separate"}

# Per space: its arguments, all but the width, and the widths that give 1 to 8 channels.
NARROW: dict[str, tuple[str, dict[str, Any], str, list]] = {
    "resnet": ("resnet", {**RESNET, "stem_channels": 4, "last_stride": 2}, "channels", [1, 2, 3, 4, 6, 8]),
    "bottleneck": ("resnet", {**RESNET, "depth": 50, "stem_channels": 3, "last_stride": 2, "ibn": "b"}, "channels",
                   [1, 2, 3]),
    "split": ("resnet", {**RESNET, "depth": 50, "stem_channels": 6, "radix": 2}, "channels", [4]),
    "nfs": ("nfs", {**NFS, "depth": 18, "specific": 1}, "width", [1 / 64, 3 / 64, 1 / 16, 1 / 8]),
    "nfs_34": ("nfs", {**NFS, "depth": 34, "specific": 2}, "width", [3 / 64]),
    "nfs_50": ("nfs", {**NFS, "depth": 50, "specific": 0}, "width", [1 / 64, 1 / 16]),
    "norm_sites": ("norm_sites", {"depth": 18, "last_stride": 2}, "width", [1 / 64, 1 / 16]),
    "fused_cells": ("auto_reid", {**CELLS, "primitives": "reid", "execution": "fused"}, "channels", [3, 4, 6, 8]),
    "plain_cells": ("auto_reid", {**CELLS, "primitives": "darts", "execution": "plain"}, "channels", [3, 6]),
    "osnet_ain": ("osnet_ain", OSNET, "width", [4 / 256, 8 / 256]),
    "fused_osnet_ain": ("osnet_ain", {**OSNET, "execution": "fused", "fusion": "concatenation"}, "width", [8 / 256]),
}


def narrow(case: str) -> Iterator[tuple[SearchSpace, dict[str, Tensor]]]:
    """The spaces of a case, and probabilities that keep a part of the choices each."""
    name, arguments, key, widths = NARROW[case]
    for width in widths:
        space = create_space(name, {**arguments, key: width})
        generator = torch.Generator().manual_seed(0)
        yield space, {d.name: torch.rand(d.rows, len(d.choices), generator=generator).softmax(-1)
                      for d in space.decisions()}


def gradients(network: nn.Module, images: Tensor, mixes: dict[str, Mix] | None) -> Tensor:
    """Of a loss with respect to all parameters, end to end."""
    mode = torch.arange(len(images)) % 2
    maps = network(images, modality=mode) if mixes is None else network(images, mixes, modality=mode)
    probe = torch.randn(maps.shape, generator=torch.Generator().manual_seed(1)).to(maps)
    network.zero_grad()
    (maps * probe).sum().backward()
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None])


@pytest.mark.parametrize("case", NARROW)
def test_a_narrow_network_has_the_gradient_of_double_precision_again_and_again(case: str) -> None:
    torch.manual_seed(0)
    images = torch.randn(IMAGES).contiguous(memory_format=torch.channels_last)
    for space, probs in narrow(case):
        mixes = {name: Mix(weights) for name, weights in probs.items()}
        for network, mixed in ((space.supernet(), mixes), (space.network(space.derive(probs)), None)):
            network.to(memory_format=torch.channels_last)
            found = [gradients(network, images, mixed) for _ in range(2)]
            exact = gradients(network.double(), images.double(),
                              mixed and {name: Mix(mix.weights.double()) for name, mix in mixed.items()})
            for each in found:  # norms of so few numbers amplify rounding, but a wrong kernel is wrong by more
                assert (each - exact).norm() <= 0.3 * exact.norm()


@pytest.mark.parametrize("isa", ["AVX2", "SSE41"])
def test_and_with_the_kernels_of_other_processors(isa: str) -> None:
    """oneDNN corrupts the heap where a kernel is wrong, so it has to be another process that dies of it."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-k", "double_precision", __file__]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300,
                           cwd=Path(__file__).parents[1])
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    assert f"{len(NARROW)} passed" in found.stdout


class _NoStridedPointwise(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            assert args[1].shape[2:] != (1, 1) or list(args[3]) == [1, 1], "a strided 1x1 convolution"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", NARROW)
def test_no_network_computes_a_strided_pointwise_convolution(case: str) -> None:
    space, probs = next(narrow(case))
    images = torch.zeros(2, *IMAGES[1:])
    with torch.no_grad(), _NoStridedPointwise():
        space.supernet()(images, {name: Mix(weights) for name, weights in probs.items()})
        space.network(space.derive(probs))(images)


def test_every_space_is_among_the_narrow_networks() -> None:
    assert set(known_spaces()) - {"toy"} == {name for name, *_ in NARROW.values()}
